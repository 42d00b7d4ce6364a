import type { ClientToken } from '../model/client-token.ts';
import type {
  Image,
  ImageBuild,
  ImageConfiguration,
  ImageVersion,
  ImageVersionStatus,
  SnapshotSizes,
} from '../model/image.ts';
import type { Page, PageRequest } from '../model/page.ts';

/** Create and Update after syntax checks; absent members are undefined, defaults not yet filled in. */
export interface ImageInput {
  readonly baseImageArn: string;
  readonly baseImageVersion?: string | undefined;
  readonly buildRoleArn: string;
  readonly description?: string | undefined;
  readonly codeArtifact: ImageConfiguration['codeArtifact'];
  readonly logging?: ImageConfiguration['logging'] | undefined;
  readonly egressNetworkConnectors?: readonly string[] | undefined;
  readonly cpuConfigurations?: ImageConfiguration['cpuConfigurations'] | undefined;
  readonly resources?: readonly { readonly minimumMemoryInMiB: number }[] | undefined;
  readonly additionalOsCapabilities?: ImageConfiguration['additionalOsCapabilities'] | undefined;
  readonly hooks?: ImageConfiguration['hooks'] | undefined;
  readonly environmentVariables?: ImageConfiguration['environmentVariables'] | undefined;
  readonly clientToken?: ClientToken | undefined;
}

export interface ImageAndVersion {
  readonly image: Image;
  readonly version: ImageVersion;
}

/**
 * Images and their versions. Every method throws {@link ServiceError} from `errors.ts` with the recorded
 * text for what the service refuses (spec sections 1.5 to 1.7). Identifiers are ARNs; a bare image name is
 * accepted as an extension.
 */
export interface ImageService {
  /** Registers the image in CREATING with version "1.0" and starts its build. */
  create(
    input: ImageInput & {
      readonly name: string;
      readonly tags?: Readonly<Record<string, string>> | undefined;
    },
  ): Promise<ImageAndVersion>;
  /** Full replacement: members left out are cleared. Starts the build of the next version. */
  update(identifier: string, input: ImageInput): Promise<ImageAndVersion>;
  /**
   * Adds a version, SUCCESSFUL and ACTIVE, that is like another but for its snapshot, which `make` makes as a
   * directory that does not exist yet. An extension.
   * @param name of the image, which is made if there is none; that of the other version when absent
   */
  addDerived(
    from: Pick<ImageVersion, 'imageArn' | 'imageVersion'>,
    name: string | undefined,
    make: (snapshot: string) => Promise<SnapshotSizes>,
  ): Promise<ImageAndVersion>;
  get(identifier: string): Promise<Image>;
  list(page: PageRequest, nameFilter: string | undefined): Promise<Page<Image>>;
  /** Returns at once with the image in DELETING; the rest happens in the background. */
  delete(identifier: string): Promise<Image>;

  getVersion(identifier: string, version: string): Promise<ImageVersion>;
  listVersions(identifier: string, page: PageRequest): Promise<Page<ImageVersion>>;
  /** Those of all images that are damaged or outdated. An extension. */
  unusableVersions(): Promise<readonly ImageVersion[]>;
  setVersionStatus(identifier: string, version: string, status: ImageVersionStatus): Promise<ImageVersion>;
  deleteVersion(identifier: string, version: string): Promise<ImageVersion>;

  listBuilds(identifier: string, version: string, page: PageRequest): Promise<Page<ImageBuild>>;
  getBuild(identifier: string, version: string, buildId: string): Promise<ImageBuild>;

  tag(imageArn: string, tags: Readonly<Record<string, string>>): Promise<void>;
  untag(imageArn: string, keys: readonly string[]): Promise<void>;

  /**
   * The version a launch uses: the named one, or the newest runnable one.
   * @throws {ServiceError} No active version found …, also where the one meant is damaged or outdated: another is not
   *   launched in its place
   */
  runnableVersion(identifier: string, version: string | undefined): Promise<ImageVersion>;
  /** Directory of the VMM snapshot of a SUCCESSFUL version. */
  snapshotDirectory(version: Pick<ImageVersion, 'imageArn' | 'imageVersion'>): string;

  /**
   * Uses the snapshot of a version to restore a VM. The version is marked, durably, where its snapshot turns out to be
   * damaged, and the error is passed on.
   */
  withSnapshot<Result>(
    version: Pick<ImageVersion, 'imageArn' | 'imageVersion'>,
    use: (snapshot: string) => Promise<Result>,
  ): Promise<Result>;
  /** Begins to look, now and once a day, whether the snapshots are whole and fit this server. */
  watchSnapshots(): void;

  /** After a restart: fails what was being built, finishes what was being deleted, removes orphaned files. */
  recover(): Promise<void>;
  /** Stops running builds and waits for them. */
  close(): Promise<void>;
}
