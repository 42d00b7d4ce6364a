import {
  compareVersions,
  type Image,
  type ImageBuild,
  type ImageState,
  type ImageVersion,
  type ImageVersionState,
  type ImageVersionStatus,
  type SnapshotSizes,
  type VersionCondition,
  versionLabel,
} from '../model/image.ts';
import type { Page, PageRequest } from '../model/page.ts';
import { dropClaims, recordClaim, type TokenClaim } from './client-tokens.ts';
import type { Store } from './database.ts';
import { held } from './dialect.ts';
import { EventLog } from './event-log.ts';
import {
  buildChange,
  imageChange,
  type Moment,
  moveBuild,
  moveImage,
  moveVersion,
  versionChange,
} from './image-moves.ts';
import {
  buildFromRow,
  buildToRow,
  imageFromRow,
  imageToRow,
  versionFromRow,
  versionNumber,
  versionToRow,
} from './image-rows.ts';

/** A version's build and all it belongs to. */
export interface BuildRecord {
  readonly image: Image;
  readonly version: ImageVersion;
  readonly build: ImageBuild;
}

export type BuildResult =
  | { readonly type: 'successful'; readonly sizes: SnapshotSizes; readonly warning?: string }
  | { readonly type: 'failed'; readonly reason: string; readonly sizes: SnapshotSizes | null };

const unfinished: readonly ImageVersionState[] = ['PENDING', 'IN_PROGRESS'];

/** Rows of images, their versions and builds. Each method is one transaction: all of it is seen, or nothing. */
export class ImageRepository {
  readonly #store: Store;
  readonly #events: EventLog;

  constructor(store: Store, events: EventLog = new EventLog(store)) {
    this.#store = store;
    this.#events = events;
  }

  /** Inserts an image with its first version, or replaces the image's row and adds the version. */
  async addVersion(record: BuildRecord, claim: TokenClaim | undefined): Promise<void> {
    const { image, version, build } = record;
    await this.#change(image.imageArn, version.createdAt, async (moment) => {
      const { transaction, emit, now } = moment;
      const created = await transaction
        .insertInto('images')
        .values(imageToRow(image))
        .onConflict((conflict) => conflict.column('image_arn').doNothing())
        .executeTakeFirst();
      if (created.numInsertedOrUpdatedRows === 1n) {
        emit(now, { ...imageChange(image.imageArn), from: null, to: image.state, reason: null });
      } else {
        await moveImage(moment, image.imageArn, image.state);
        await transaction
          .updateTable('images')
          .set(imageToRow(image))
          .where('image_arn', '=', image.imageArn)
          .execute();
      }
      await transaction.insertInto('image_versions').values(versionToRow(version)).execute();
      await transaction.insertInto('image_builds').values(buildToRow(build)).execute();
      emit(
        now,
        { ...versionChange(version), from: null, to: version.state, reason: null },
        { ...buildChange(build), from: null, to: build.buildState, reason: null },
      );
      if (claim !== undefined) {
        await recordClaim(transaction, claim, versionResource(version), version.createdAt);
      }
    });
  }

  async startBuild(record: BuildRecord, now: number): Promise<void> {
    await this.#change(record.image.imageArn, now, async (moment) => {
      await moveVersion(moment, record.version, { state: 'IN_PROGRESS' });
      await moveBuild(moment, record.build, 'IN_PROGRESS');
    });
  }

  /** Ends a build: build, version and image change together. */
  async finishBuild(record: BuildRecord, result: BuildResult, now: number): Promise<void> {
    const { imageArn } = record.image;
    const { imageVersion } = record.version;
    const successful = result.type === 'successful';
    const reason = successful ? (result.warning ?? null) : result.reason;
    const state = successful ? 'SUCCESSFUL' : 'FAILED';
    const status: ImageVersionStatus = successful ? 'ACTIVE' : 'INACTIVE';
    const creating = versionNumber(imageVersion) === 1;
    const imageState = successful
      ? creating
        ? 'CREATED'
        : 'UPDATED'
      : creating
        ? 'CREATE_FAILED'
        : 'UPDATE_FAILED';
    await this.#change(imageArn, now, async (moment) => {
      await moveBuild(moment, record.build, state, { reason, sizes: result.sizes });
      await moveVersion(moment, record.version, { state, status, state_reason: reason });
      await moveImage(
        moment,
        imageArn,
        imageState,
        successful ? {} : { latest_failed_version: imageVersion },
      );
      await refreshLatestActive(moment.transaction, imageArn);
    });
  }

  async setImageState(imageArn: string, state: ImageState, now: number): Promise<void> {
    await this.#change(imageArn, now, (moment) => moveImage(moment, imageArn, state));
  }

  async setTags(imageArn: string, tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#store
      .updateTable('images')
      .set({ tags: JSON.stringify(tags) })
      .where('image_arn', '=', imageArn)
      .execute();
  }

  async setVersionStatus(version: ImageVersion, status: ImageVersionStatus, now: number): Promise<void> {
    await this.#change(version.imageArn, now, async (moment) => {
      await moveVersion(moment, version, { status });
      await refreshLatestActive(moment.transaction, version.imageArn);
    });
  }

  /** Notes what keeps a version's snapshot from being launched from, or that nothing does any more. */
  async setCondition(
    version: Pick<ImageVersion, 'imageArn' | 'imageVersion'>,
    condition: VersionCondition | null,
    reason: string | null,
    now: number,
  ): Promise<void> {
    const state = condition === 'DAMAGED' ? 'FAILED' : 'SUCCESSFUL';
    await this.#change(version.imageArn, now, (moment) =>
      moveVersion(moment, version, { state, condition, state_reason: reason }),
    );
  }

  /** Version DELETING, its image UPDATING (spec section 1.6). */
  async startVersionDeletion(version: ImageVersion, now: number): Promise<void> {
    await this.#change(version.imageArn, now, async (moment) => {
      await moveVersion(moment, version, { state: 'DELETING' });
      await moveImage(moment, version.imageArn, 'UPDATING');
      await refreshLatestActive(moment.transaction, version.imageArn);
    });
  }

  /** Forgets a version whose files are gone; its image is UPDATED again. */
  async removeVersion(version: ImageVersion, now: number): Promise<void> {
    const number = versionNumber(version.imageVersion);
    await this.#change(version.imageArn, now, async (moment) => {
      const { transaction } = moment;
      await moveVersion(moment, version, { state: 'DELETED' });
      await transaction
        .deleteFrom('image_builds')
        .where('image_arn', '=', version.imageArn)
        .where('version', '=', number)
        .execute();
      await transaction
        .deleteFrom('image_versions')
        .where('image_arn', '=', version.imageArn)
        .where('version', '=', number)
        .execute();
      await transaction
        .updateTable('images')
        .set({ latest_failed_version: null })
        .where('image_arn', '=', version.imageArn)
        .where('latest_failed_version', '=', version.imageVersion)
        .execute();
      await moveImage(moment, version.imageArn, 'UPDATED');
      await dropClaims(transaction, versionResource(version));
    });
  }

  /** Forgets an image whose files are gone; its name and its client tokens are free again. */
  async removeImage(imageArn: string, now: number): Promise<void> {
    await this.#change(imageArn, now, async (moment) => {
      const { transaction } = moment;
      await moveImage(moment, imageArn, 'DELETED');
      const versions = await transaction
        .selectFrom('image_versions')
        .selectAll()
        .where('image_arn', '=', imageArn)
        .execute();
      for (const version of versions) await dropClaims(transaction, versionResource(versionFromRow(version)));
      await transaction.deleteFrom('image_builds').where('image_arn', '=', imageArn).execute();
      await transaction.deleteFrom('image_versions').where('image_arn', '=', imageArn).execute();
      await transaction.deleteFrom('images').where('image_arn', '=', imageArn).execute();
    });
  }

  async get(imageArn: string): Promise<Image | undefined> {
    const row = await this.#store
      .selectFrom('images')
      .selectAll()
      .where('image_arn', '=', imageArn)
      .executeTakeFirst();
    return row === undefined ? undefined : imageFromRow(row);
  }

  async count(): Promise<number> {
    const row = await this.#store
      .selectFrom('images')
      .select((select) => select.fn.countAll<number>().as('total'))
      .executeTakeFirstOrThrow();
    return Number(row.total);
  }

  /** Sorted by name; the filter is a substring, applied to the page (spec section 1.8). */
  async list(page: PageRequest, nameFilter: string | undefined): Promise<Page<Image>> {
    let query = this.#store
      .selectFrom('images')
      .selectAll()
      .orderBy('name')
      .limit(page.limit + 1);
    if (page.after !== undefined) query = query.where('name', '>', page.after);
    const { items, next } = cut((await query.execute()).map(imageFromRow), page, (image) => image.name);
    return { items: items.filter(({ name }) => nameFilter === undefined || name.includes(nameFilter)), next };
  }

  async listByState(states: readonly ImageState[]): Promise<readonly Image[]> {
    const rows = await this.#store.selectFrom('images').selectAll().where('state', 'in', states).execute();
    return rows.map(imageFromRow);
  }

  async getVersion(imageArn: string, imageVersion: string): Promise<ImageVersion | undefined> {
    const row = await this.#store
      .selectFrom('image_versions')
      .selectAll()
      .where('image_arn', '=', imageArn)
      .where('version', '=', versionNumber(imageVersion))
      .executeTakeFirst();
    return row === undefined ? undefined : versionFromRow(row);
  }

  /** The version a client token made; undefined when it is gone. */
  async findByResource(resource: string): Promise<ImageVersion | undefined> {
    const separator = resource.lastIndexOf('#');
    return await this.getVersion(resource.slice(0, separator), resource.slice(separator + 1));
  }

  /** Newest first. */
  async listVersions(imageArn: string, page: PageRequest): Promise<Page<ImageVersion>> {
    let query = this.#store
      .selectFrom('image_versions')
      .selectAll()
      .where('image_arn', '=', imageArn)
      .orderBy('version', 'desc')
      .limit(page.limit + 1);
    if (page.after !== undefined) query = query.where('version', '<', versionNumber(page.after));
    return cut((await query.execute()).map(versionFromRow), page, (version) => version.imageVersion);
  }

  /** All versions of an image; of every image when none is named. */
  async allVersions(imageArn?: string): Promise<readonly ImageVersion[]> {
    let query = this.#store.selectFrom('image_versions').selectAll();
    if (imageArn !== undefined) query = query.where('image_arn', '=', imageArn);
    return (await query.execute()).map(versionFromRow);
  }

  /** The version that launches use which name none, whether its snapshot is whole or not. */
  async newestActive(imageArn: string): Promise<ImageVersion | undefined> {
    return await selectNewestActive(this.#store, imageArn);
  }

  async getBuild(imageArn: string, imageVersion: string, buildId: string): Promise<ImageBuild | undefined> {
    const row = await this.#store
      .selectFrom('image_builds')
      .selectAll()
      .where('build_id', '=', buildId)
      .where('image_arn', '=', imageArn)
      .where('version', '=', versionNumber(imageVersion))
      .executeTakeFirst();
    return row === undefined ? undefined : buildFromRow(row);
  }

  /** In the order of their ids: the few builds of a version start together. */
  async listBuilds(imageArn: string, imageVersion: string, page: PageRequest): Promise<Page<ImageBuild>> {
    let query = this.#store
      .selectFrom('image_builds')
      .selectAll()
      .where('image_arn', '=', imageArn)
      .where('version', '=', versionNumber(imageVersion))
      .orderBy('build_id')
      .limit(page.limit + 1);
    if (page.after !== undefined) query = query.where('build_id', '>', page.after);
    return cut((await query.execute()).map(buildFromRow), page, (build) => build.buildId);
  }

  /** Builds that have not ended, oldest first. */
  async unfinishedBuilds(): Promise<readonly BuildRecord[]> {
    const rows = await this.#store
      .selectFrom('image_versions')
      .select(['image_arn', 'version'])
      .where('state', 'in', unfinished)
      .orderBy('created_at')
      .execute();
    const records = rows.map(async ({ image_arn, version: number }) => {
      const label = versionLabel(number);
      const [image, version, builds] = await Promise.all([
        this.get(image_arn),
        this.getVersion(image_arn, label),
        this.listBuilds(image_arn, label, { limit: 1, after: undefined }),
      ]);
      const build = builds.items[0];
      return image === undefined || version === undefined || build === undefined
        ? []
        : [{ image, version, build }];
    });
    return (await Promise.all(records)).flat();
  }

  /** One transaction on an image and what belongs to it; those on one image come one after the other. */
  async #change(imageArn: string, now: number, work: (moment: Moment) => Promise<void>): Promise<void> {
    await this.#events.transaction(async (transaction, emit) => {
      const image = transaction.selectFrom('images').select('image_arn').where('image_arn', '=', imageArn);
      await held(transaction, image).execute();
      await work({ transaction, emit, now });
    });
  }
}

function versionResource(version: Pick<ImageVersion, 'imageArn' | 'imageVersion'>): string {
  return `${version.imageArn}#${version.imageVersion}`;
}

async function selectNewestActive(store: Store, imageArn: string): Promise<ImageVersion | undefined> {
  const rows = await store
    .selectFrom('image_versions')
    .selectAll()
    .where('image_arn', '=', imageArn)
    // A build that failed leaves a version that is not active; of those that were built only a damaged one is FAILED.
    .where('state', 'in', ['SUCCESSFUL', 'FAILED'] satisfies ImageVersionState[])
    .where('status', '=', 'ACTIVE' satisfies ImageVersionStatus)
    .execute();
  return rows
    .map(versionFromRow)
    .sort((a, b) => compareVersions(a.imageVersion, b.imageVersion))
    .at(-1);
}

async function refreshLatestActive(store: Store, imageArn: string): Promise<void> {
  const newest = await selectNewestActive(store, imageArn);
  await store
    .updateTable('images')
    .set({ latest_active_version: newest?.imageVersion ?? null })
    .where('image_arn', '=', imageArn)
    .execute();
}

function cut<Item>(rows: readonly Item[], page: PageRequest, position: (item: Item) => string): Page<Item> {
  const items = rows.slice(0, page.limit);
  const last = items.at(-1);
  return { items, next: rows.length > page.limit && last !== undefined ? position(last) : undefined };
}
