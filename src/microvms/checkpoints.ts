import { randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { directorySize } from '../blobs/directory-size.ts';
import { syncDirectory, writeFileDurably } from '../blobs/durable.ts';
import { entries } from '../blobs/entries.ts';
import { checkpointNameTaken, checkpointNotFound, tooManyCheckpoints } from '../errors.ts';

/** Checkpoints that one VM can have. */
export const mostCheckpoints = 50;

/** In the directory of a VM, and gone with it. */
const folder = 'checkpoints';
const description = 'checkpoint.json';
/** What is not finished, or being removed, has a name that no checkpoint has. */
const unfinished = '.partial';

const stored = z.object({
  formatVersion: z.literal(1),
  checkpointId: z.string(),
  name: z.string().nullable(),
  /** Milliseconds since the epoch. */
  createdAt: z.number(),
  /** Space on the disk, of which files shared with other checkpoints count in each. */
  sizeInBytes: z.number(),
});
export type Checkpoint = Omit<z.output<typeof stored>, 'formatVersion'>;

/** What one VM was at certain moments. Callers see to it that changes to one VM's come one after the other. */
export class Checkpoints {
  readonly #microvmId: string;
  readonly #directory: string;

  /** @param directory of the VM */
  constructor(microvmId: string, directory: string) {
    this.#microvmId = microvmId;
    this.#directory = path.join(directory, folder);
  }

  /** The oldest first. */
  async list(): Promise<readonly Checkpoint[]> {
    const found = await Promise.all((await entries(this.#directory)).map((name) => this.#read(name)));
    return found.flatMap((item) => item ?? []).sort((a, b) => a.createdAt - b.createdAt);
  }

  /**
   * Makes one of what `store` puts into a directory. Durable when it resolves; nothing remains of a failure.
   * @throws {ServiceError} the name is taken, or there are too many
   */
  async create(
    name: string | undefined,
    now: number,
    store: (directory: string) => Promise<void>,
  ): Promise<Checkpoint> {
    const existing = await this.list();
    if (existing.length >= mostCheckpoints) throw tooManyCheckpoints(this.#microvmId, mostCheckpoints);
    if (name !== undefined && existing.some((item) => item.name === name || item.checkpointId === name)) {
      throw checkpointNameTaken(this.#microvmId, name);
    }
    const checkpointId = `checkpoint-${randomUUID()}`;
    const building = await this.#makeUnfinished(checkpointId);
    try {
      await store(building);
      const sizeInBytes = await directorySize(building);
      const checkpoint = { checkpointId, name: name ?? null, createdAt: now, sizeInBytes };
      const text = JSON.stringify({ formatVersion: 1, ...checkpoint });
      await writeFileDurably(path.join(building, description), text);
      await rename(building, this.#at(checkpointId));
      await syncDirectory(this.#directory);
      await syncDirectory(path.dirname(this.#directory));
      return checkpoint;
    } catch (error) {
      await rm(building, { recursive: true, force: true });
      throw error;
    }
  }

  /** Uses what `store` puts into a directory, which is gone afterwards. */
  async withTemporary<Result>(
    store: (directory: string) => Promise<void>,
    use: (directory: string) => Promise<Result>,
  ): Promise<Result> {
    const directory = await this.#makeUnfinished(randomUUID());
    try {
      await store(directory);
      return await use(directory);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** @param identifier an id or a name. @throws {ServiceError} there is no such checkpoint */
  async find(identifier: string): Promise<Checkpoint> {
    const found = (await this.list()).find(
      ({ checkpointId, name }) => checkpointId === identifier || name === identifier,
    );
    if (found === undefined) throw checkpointNotFound(this.#microvmId, identifier);
    return found;
  }

  directoryOf({ checkpointId }: Checkpoint): string {
    return this.#at(checkpointId);
  }

  async remove(checkpoint: Checkpoint): Promise<void> {
    const going = this.#at(`${checkpoint.checkpointId}${unfinished}`);
    await rename(this.directoryOf(checkpoint), going);
    await syncDirectory(this.#directory);
    await rm(going, { recursive: true, force: true });
  }

  #at(name: string): string {
    return path.join(this.#directory, name);
  }

  async #read(name: string): Promise<Checkpoint | undefined> {
    if (name.endsWith(unfinished)) return undefined;
    let text: string;
    try {
      text = await readFile(path.join(this.#at(name), description), 'utf8');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const { formatVersion: _format, ...checkpoint } = stored.parse(JSON.parse(text));
      return checkpoint;
    } catch {
      return undefined;
    }
  }

  async #makeUnfinished(name: string): Promise<string> {
    await this.#removeUnfinished();
    await mkdir(this.#directory, { mode: 0o700 }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    const directory = this.#at(`${name}${unfinished}`);
    await mkdir(directory, { mode: 0o700 });
    return directory;
  }

  /** What a server that was killed has left. */
  async #removeUnfinished(): Promise<void> {
    for (const name of await entries(this.#directory)) {
      if (name.endsWith(unfinished)) await rm(this.#at(name), { recursive: true, force: true });
    }
  }
}
