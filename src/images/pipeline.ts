import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rm, rmdir } from 'node:fs/promises';
import path from 'node:path';
import { pipeline as streamInto } from 'node:stream/promises';
import { ArtifactError, type ArtifactSource } from '../blobs/artifact-source.ts';
import type { GuestAgent } from '../guest/guest-agent.ts';
import type { CapacityResource } from '../model/capacity.ts';
import type { Clock } from '../model/clock.ts';
import type { SnapshotSizes } from '../model/image.ts';
import { diskMibFor, type Limits, vcpusFor } from '../model/limits.ts';
import type { GuestNetwork } from '../network/guest-network.ts';
import type { BuildRecord } from '../store/images.ts';
import type { LogStore } from '../telemetry/log-store.ts';
import type { Vmm } from '../vmm/vmm.ts';
import { resolveAppSpec } from './app-spec.ts';
import { unpackArchive } from './archive.ts';
import { BuildFailure, diskFull, platformError } from './build-failure.ts';
import { type BuildLog, type BuildLogKind, openBuildLog } from './build-log.ts';
import { type BuildOptions, takeBuildOptions } from './build-options.ts';
import type { BuildPlace, BuildRoom } from './build-room.ts';
import { buildContainerImage } from './container-build.ts';
import { readContainerConfig } from './container-config.ts';
import type { ContainerEngine } from './container-engine.ts';
import type { ContainerEngines } from './container-engines.ts';
import type { BuildOutcome } from './image-builder.ts';
import type { ImagePaths } from './image-paths.ts';
import { readinessWarning } from './readiness.ts';
import { readinessRules } from './readiness-rules.ts';
import { readAccountFiles, writeRootDisk } from './root-disk.ts';
import { withSecondAttempt } from './second-attempt.ts';
import { buildSnapshot, validateSnapshot } from './snapshot-build.ts';
import { resolveAccount } from './users.ts';
import { makeVersionDirectory } from './version-directory.ts';

export interface PipelineDependencies {
  readonly vmm: Vmm;
  readonly artifacts: ArtifactSource;
  readonly engines: Pick<ContainerEngines, 'of'>;
  readonly logs: Pick<LogStore, 'append'>;
  readonly paths: ImagePaths;
  readonly network: GuestNetwork;
  /** Asked before anything is made. */
  readonly room: BuildRoom;
  readonly limits: Limits;
  readonly region: string;
  readonly clock: Clock;
  readonly onLogError: (error: unknown) => void;
  /** Told of bytes of output that are not stored because too much came. */
  readonly onLogDropped: (bytes: number) => void;
}

const containerBuildLimitMs = 3600_000;
const bytesPerMib = 1024 ** 2;

/** Name under which an image's engine keeps its newest container image and its layers. */
const containerTag = 'localhost/dormouse-image:latest';

/**
 * Makes a version of an image: artifact, Dockerfile, root disk, VM, snapshot (spec section 3.2). On success its
 * files are durable in the version's directory; otherwise nothing is left of them.
 * @throws the signal's reason when aborted
 */
export async function runPipeline(
  dependencies: PipelineDependencies,
  record: BuildRecord,
  signal: AbortSignal,
): Promise<BuildOutcome> {
  const paths = dependencies.paths.build(record.build.buildId);
  const version = dependencies.paths.version(record.version);
  const sizes: { -readonly [Name in keyof SnapshotSizes]: SnapshotSizes[Name] } = {};
  try {
    await rm(paths.directory, { recursive: true, force: true });
    await mkdir(paths.context, { recursive: true, mode: 0o700 });
    await makeVersionDirectory(version);
    const place = await reserve(dependencies, record, signal);
    try {
      const warning = await build(dependencies, record, place, sizes, signal);
      return { type: 'successful', sizes, ...(warning === undefined ? {} : { warning }) };
    } finally {
      place.release();
    }
  } catch (error) {
    await rm(version.directory, { recursive: true, force: true });
    await rmdir(path.dirname(version.directory)).catch(ignoreOtherVersions);
    signal.throwIfAborted();
    const known = Object.keys(sizes).length > 0 ? sizes : null;
    return { type: 'failed', failure: toFailure(error), sizes: known };
  } finally {
    await rm(paths.directory, { recursive: true, force: true });
  }
}

function ignoreOtherVersions(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOTEMPTY' && error.code !== 'ENOENT') throw error;
}

/** A build that has to wait says so in its log, where its owner looks first. */
async function reserve(
  dependencies: PipelineDependencies,
  record: BuildRecord,
  signal: AbortSignal,
): Promise<BuildPlace> {
  const { buildId } = record.build;
  const memoryMib = record.version.configuration.minimumMemoryInMiB;
  return await logged(dependencies, record, 'docker', signal, async (log) => {
    let waited = false;
    const onWaiting = (resource: CapacityResource): void => {
      waited = true;
      log.note(`Waiting for ${resource}: the host has not enough for this build at the moment`);
    };
    const place = await dependencies.room.reserve({ buildId, memoryMib }, { signal, onWaiting });
    if (waited) log.note('There is room now');
    return place;
  });
}

/** Makes a version's files; says what its owner should be told of them, if anything. */
async function build(
  dependencies: PipelineDependencies,
  record: BuildRecord,
  place: BuildPlace,
  sizes: { -readonly [Name in keyof SnapshotSizes]: SnapshotSizes[Name] },
  signal: AbortSignal,
): Promise<string | undefined> {
  const { vmm } = dependencies;
  const engine = await dependencies.engines.of(record.image.id, signal);
  const { configuration } = record.version;
  const paths = dependencies.paths.build(record.build.buildId);
  const version = dependencies.paths.version(record.version);
  const diskMib = diskMibFor(configuration.minimumMemoryInMiB);
  const { imageId, options } = await buildContainer(dependencies, engine, record, diskMib, signal);

  const container = await readContainerConfig(engine, imageId, signal);
  const disk = { file: paths.rootDisk, sizeMib: diskMib };
  sizes.codeInstallSizeInBytes = await writeRootDisk(engine, imageId, disk, signal);
  const account = resolveAccount(container.user, await readAccountFiles(engine, disk.file, signal));
  const app = resolveAppSpec({
    container,
    account,
    version: record.version,
    imageName: record.image.name,
    region: dependencies.region,
  });

  const { hooks } = configuration;
  const now = (): number => dependencies.clock.now();
  const connect = (agent: GuestAgent): void => {
    place.settle();
    dependencies.network.attach(agent, configuration.egressNetworkConnectors);
  };
  const memoryMib = configuration.minimumMemoryInMiB;
  const { manifest, warning } = await logged(dependencies, record, 'snapshot', signal, async (log) => {
    const rules = readinessRules(container, options);
    const once = () =>
      buildSnapshot(vmm, {
        app,
        readiness: rules,
        shape: { memoryMib, vcpus: vcpusFor(memoryMib) },
        rootDisk: paths.rootDisk,
        hooks,
        now,
        connect,
        vm: paths.vm,
        snapshot: version.snapshot,
        log,
        signal,
      });
    const built = await withSecondAttempt(once, (error) => clearFor(error, version.snapshot, log), signal);
    const told = built.readiness && readinessWarning(built.readiness, rules);
    if (told !== undefined) log.note(`WARNING: ${told}`);
    return { manifest: built.manifest, warning: told };
  });
  await logged(dependencies, record, 'validate', signal, (log) =>
    validateSnapshot(vmm, {
      hooks,
      now,
      connect,
      vm: paths.validation,
      snapshot: version.snapshot,
      log,
      signal,
    }),
  );
  sizes.memorySnapshotSizeInBytes = manifest.memoryBytes;
  sizes.diskSnapshotSizeInBytes = manifest.diskBytes;
  return warning;
}

/** Before the container image is started a second time. */
async function clearFor(error: unknown, snapshot: string, log: BuildLog): Promise<void> {
  log.note(toFailure(error).message);
  log.note('Starting the container image once more');
  await rm(snapshot, { recursive: true, force: true });
}

/** Fetches the artifact and builds its Dockerfile. */
async function buildContainer(
  dependencies: PipelineDependencies,
  engine: ContainerEngine,
  record: BuildRecord,
  diskMib: number,
  signal: AbortSignal,
): Promise<{ readonly imageId: string; readonly options: BuildOptions }> {
  const { configuration } = record.version;
  const paths = dependencies.paths.build(record.build.buildId);
  return await logged(dependencies, record, 'docker', signal, async (log) => {
    log.note(`Fetching ${configuration.codeArtifact.uri}`);
    await dependencies.artifacts.download(configuration.codeArtifact.uri, paths.artifact, signal);
    await unpackArchive(paths.artifact, paths.context, dependencies.limits, signal);
    const options = await takeBuildOptions(paths.context, paths.directory);
    const imageId = await buildContainerImage(engine, {
      context: paths.context,
      options,
      contextDigest: await digestOf(paths.artifact, signal),
      scratch: paths.directory,
      tag: containerTag,
      timeLimitMs: containerBuildLimitMs,
      largestFileBytes: diskMib * bytesPerMib,
      signal,
      onOutput: (source, chunk) => log.write(source, chunk),
    });
    log.note(`Built container image ${imageId}`);
    return { imageId, options };
  });
}

async function digestOf(file: string, signal: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  await streamInto(createReadStream(file), hash, { signal });
  return hash.digest('hex');
}

/** Gives `work` one stream of the build's log; why it failed is the last line. */
async function logged<Result>(
  dependencies: PipelineDependencies,
  record: BuildRecord,
  kind: BuildLogKind,
  signal: AbortSignal,
  work: (log: BuildLog) => Promise<Result>,
): Promise<Result> {
  const log = openBuildLog(record, kind, {
    logs: dependencies.logs,
    clock: dependencies.clock,
    onError: dependencies.onLogError,
    onDropped: dependencies.onLogDropped,
  });
  try {
    return await work(log);
  } catch (error) {
    signal.throwIfAborted();
    const failure = toFailure(error);
    log.note(failure.message);
    throw failure;
  } finally {
    await log.end();
  }
}

function toFailure(error: unknown): BuildFailure {
  if (error instanceof BuildFailure) return error;
  if (error instanceof ArtifactError) {
    return new BuildFailure(error.code, `${error.code}: ${error.message}`, { cause: error });
  }
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') {
    return diskFull('The host has no disk space left for builds.');
  }
  return platformError(error);
}
