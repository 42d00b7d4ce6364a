import { mkdir, readdir } from 'node:fs/promises';
import path from 'node:path';
import { ContainerEngine, type ContainerEngineOptions } from './container-engine.ts';

const own = /^image-[0-9a-f-]{36}$/;
const keeperName = 'keeper';

/**
 * A container engine for each image, with a store and caches of its own: nothing that a build names, mounts or finds in
 * a cache can be another image's.
 */
export class ContainerEngines {
  readonly #options: ContainerEngineOptions;
  /** Builds nothing: it removes what belongs to users of a user namespace. */
  readonly #keeper: ContainerEngine;
  readonly #prepared = new Map<string, Promise<ContainerEngine>>();
  /** Those in which something was built since they were cleaned. */
  readonly #used = new Set<ContainerEngine>();

  /** @param options.directory of all of them */
  constructor(options: ContainerEngineOptions) {
    this.#options = options;
    this.#keeper = this.#engine(keeperName);
  }

  /** Makes the directory, and removes what is of no engine there. */
  async prepare(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await this.#keeper.prepare();
    for (const entry of await readdir(directory)) {
      if (entry !== keeperName && !own.test(entry)) await this.#keeper.remove(path.join(directory, entry));
    }
  }

  /** The engine of an image, clean of what builds that did not end in order have left. */
  async of(imageId: string, signal: AbortSignal): Promise<ContainerEngine> {
    const known = this.#prepared.get(imageId);
    const prepared = known ?? this.#prepare(imageId, signal);
    if (known === undefined) {
      this.#prepared.set(imageId, prepared);
      prepared.catch(() => this.#prepared.delete(imageId));
    }
    const engine = await prepared;
    this.#used.add(engine);
    return engine;
  }

  /** Removes what builds have left in the engines that were used. Only while no build is running. */
  async tidy(signal: AbortSignal): Promise<void> {
    for (const engine of this.#used) {
      await engine.tidy(signal);
      this.#used.delete(engine);
    }
  }

  /** Removes all that is kept of an image. */
  async forget(imageId: string): Promise<void> {
    const engine = await this.#prepared.get(imageId)?.catch(() => undefined);
    this.#prepared.delete(imageId);
    if (engine !== undefined) this.#used.delete(engine);
    await this.#keeper.remove(path.join(this.#options.directory, nameOf(imageId)));
  }

  async #prepare(imageId: string, signal: AbortSignal): Promise<ContainerEngine> {
    const engine = this.#engine(nameOf(imageId));
    await engine.prepare();
    await engine.tidy(signal);
    return engine;
  }

  #engine(name: string): ContainerEngine {
    return new ContainerEngine({
      ...this.#options,
      directory: path.join(this.#options.directory, name),
    });
  }
}

function nameOf(imageId: string): string {
  const name = `image-${imageId}`;
  if (!own.test(name)) throw new TypeError(`not the id of an image: ${imageId}`);
  return name;
}
