import type { Logger } from 'pino';
import type { Clock } from '../../model/clock.ts';
import { LaunchDemand, type WarmPoolPolicy } from '../../model/warm-pool.ts';
import type { HostPressure, SpareMemory } from '../host-pressure.ts';
import type { Spare, VersionName } from './spare.ts';

/** Share of the host's memory that all spare VMs together may take. */
const largestShare = 1 / 8;

export interface WarmPoolOptions {
  readonly policy: WarmPoolPolicy;
  /** @throws when the version cannot be launched from (any more), or `signal` aborts; nothing is left then */
  readonly make: (version: VersionName, signal: AbortSignal) => Promise<Spare>;
  readonly discard: (spare: Spare) => Promise<void>;
  /** Asks for memory back when the host runs short; this adds itself to it. */
  readonly pressure: HostPressure;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What is kept ready of one version. */
interface Shelf {
  readonly version: VersionName;
  readonly demand: LaunchDemand;
  /** The oldest first. */
  readonly ready: Spare[];
}

/**
 * VMs restored and paused before anyone asks for them, by image version, so that a launch is starting their
 * virtual CPUs. They are made one at a time, and given up when recent launches no longer suggest them, their
 * version is withdrawn, or the host runs short of memory. A launch that finds none works the same, slower.
 */
export class WarmPool implements SpareMemory {
  readonly #options: WarmPoolOptions;
  /** By version, the one launched from longest ago first. */
  readonly #shelves = new Map<string, Shelf>();
  /** Given out by id and not collected yet. */
  readonly #reserved = new Map<string, { readonly shelf: Shelf; readonly spare: Spare }>();
  readonly #closing = new AbortController();
  #making:
    | { readonly shelf: Shelf; readonly abort: AbortController; readonly done: Promise<void> }
    | undefined;
  #work: Promise<void> | undefined;
  #limitBytes: number | undefined;
  /** What the latest spare VM took: the next one will take as much. */
  #typicalBytes = 0;
  #hits = 0;
  #misses = 0;
  #cancelTrim: (() => void) | undefined;

  constructor(options: WarmPoolOptions) {
    this.#options = options;
    options.pressure.add(this);
  }

  get enabled(): boolean {
    return this.#options.policy.kind !== 'off' && !this.#closing.signal.aborted;
  }

  get size(): number {
    return this.#shelves.values().reduce((sum, { ready }) => sum + ready.length, 0);
  }

  get bytes(): number {
    return this.#shelves.values().reduce((sum, { ready }) => sum + bytesOf(ready), 0);
  }

  /** Launches that found a spare VM, and those that did not, since the start of the server. */
  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  /**
   * Notes that a version is launched from, and reserves a spare VM for the launch: no other gets it.
   * @returns the id that the new VM has to have; undefined when there is no spare
   */
  take(version: VersionName): string | undefined {
    if (!this.enabled) return undefined;
    const shelf = this.#note(version);
    const spare = shelf.ready.shift();
    if (spare === undefined) this.#misses += 1;
    else {
      this.#hits += 1;
      this.#reserved.set(spare.microvmId, { shelf, spare });
    }
    this.#tend();
    return spare?.microvmId;
  }

  /** The spare VM reserved under an id, which is the caller's from here on; undefined when it is gone. */
  collect(microvmId: string): Spare | undefined {
    const reserved = this.#reserved.get(microvmId);
    this.#reserved.delete(microvmId);
    return reserved?.spare;
  }

  /** Takes a reservation back: the launch did not come about. */
  giveBack(microvmId: string): void {
    const reserved = this.#reserved.get(microvmId);
    if (reserved === undefined) return;
    this.#reserved.delete(microvmId);
    reserved.shelf.ready.unshift(reserved.spare);
    if (this.#isKept(reserved.shelf)) this.#tend();
    else this.#inBackground(this.#drop(reserved.shelf, reserved.spare));
  }

  /** Has a version kept ready as if it had just been launched from. */
  expect(version: VersionName): void {
    if (!this.enabled) return;
    this.#note(version);
    this.#tend();
  }

  /** Gives up what is kept ready of an image, or of one version of it: nobody may launch from it any more. */
  async retire(imageArn: string, imageVersion?: string): Promise<void> {
    for (const [name, shelf] of [...this.#shelves]) {
      if (shelf.version.imageArn !== imageArn) continue;
      if (imageVersion !== undefined && shelf.version.imageVersion !== imageVersion) continue;
      this.#shelves.delete(name);
      if (this.#making?.shelf === shelf) {
        this.#making.abort.abort(new Error('its version was withdrawn'));
        await this.#making.done;
      }
      await this.#empty(shelf);
    }
  }

  /** What gives way is not made again before somebody launches from its version. */
  async release(bytes: number): Promise<void> {
    const target = this.bytes - bytes;
    for (const shelf of [...this.#shelves.values()]) {
      if (this.bytes <= target) return;
      shelf.demand.forget();
      await this.#empty(shelf);
    }
  }

  /** Ends all spare VMs. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the server stops'));
    this.#cancelTrim?.();
    await this.#work;
    for (const shelf of this.#shelves.values()) await this.#empty(shelf);
    for (const { spare } of this.#reserved.values()) await this.#options.discard(spare);
    this.#reserved.clear();
  }

  #note(version: VersionName): Shelf {
    const { imageArn, imageVersion } = version;
    const name = `${imageArn} ${imageVersion}`;
    const shelf = this.#shelves.get(name) ?? {
      version: { imageArn, imageVersion },
      demand: new LaunchDemand(this.#options.policy),
      ready: [],
    };
    shelf.demand.note(this.#options.clock.now());
    this.#shelves.delete(name);
    this.#shelves.set(name, shelf);
    return shelf;
  }

  #isKept(shelf: Shelf): boolean {
    return this.#shelves.values().some((kept) => kept === shelf);
  }

  #surplusOf({ demand, ready }: Shelf): number {
    return ready.length - demand.wanted(this.#options.clock.now());
  }

  /** Brings what there is to what is wanted, in the background. */
  #tend(): void {
    if (this.#work !== undefined || this.#closing.signal.aborted) return;
    this.#work = this.#adjust().then(
      () => {
        this.#work = undefined;
        // Something may have been taken since the last look.
        if (this.#next() !== undefined) this.#tend();
      },
      (error: unknown) => {
        this.#work = undefined;
        this.#options.logger.error({ err: error }, 'the warm pool was not looked after');
      },
    );
  }

  async #adjust(): Promise<void> {
    this.#cancelTrim?.();
    this.#limitBytes ??= (await this.#options.pressure.hostMemory()).totalBytes * largestShare;
    for (const shelf of this.#shelves.values()) {
      await this.#empty(shelf, this.#surplusOf(shelf));
    }
    for (let shelf = this.#next(); shelf !== undefined; shelf = this.#next()) {
      await this.#makeRoomFor(shelf);
      const abort = new AbortController();
      const done = this.#add(shelf, abort);
      this.#making = { shelf, abort, done };
      await done;
      this.#making = undefined;
    }
    this.#scheduleTrim();
  }

  /** The version launched from last of those that lack a spare VM and have room for it. */
  #next(): Shelf | undefined {
    if (this.#closing.signal.aborted) return undefined;
    const latestFirst = [...this.#shelves.values()].reverse();
    return latestFirst.find((shelf) => this.#surplusOf(shelf) < 0 && this.#spaceFor(shelf) >= 0);
  }

  /** What would be left of the limit once those launched from longer ago had given way. */
  #spaceFor(shelf: Shelf): number {
    const givingWay = this.#olderThan(shelf).reduce((sum, { ready }) => sum + bytesOf(ready), 0);
    return (this.#limitBytes ?? 0) - this.bytes + givingWay - this.#typicalBytes;
  }

  #olderThan(shelf: Shelf): Shelf[] {
    const all = [...this.#shelves.values()];
    return all.slice(0, all.indexOf(shelf));
  }

  async #makeRoomFor(shelf: Shelf): Promise<void> {
    for (const older of this.#olderThan(shelf)) {
      if (this.bytes + this.#typicalBytes <= (this.#limitBytes ?? 0)) break;
      older.demand.forget();
      await this.#empty(older);
    }
  }

  async #add(shelf: Shelf, abort: AbortController): Promise<void> {
    try {
      const signal = AbortSignal.any([abort.signal, this.#closing.signal]);
      const spare = await this.#options.make(shelf.version, signal);
      this.#typicalBytes = spare.bytes;
      shelf.ready.push(spare);
      this.#watch(shelf, spare);
      if (this.bytes > (this.#limitBytes ?? 0)) shelf.demand.forget();
      if (signal.aborted || this.#surplusOf(shelf) > 0) await this.#drop(shelf, spare);
    } catch (error) {
      // Not tried again before somebody launches from it.
      shelf.demand.forget();
      if (!abort.signal.aborted && !this.#closing.signal.aborted) {
        this.#options.logger.warn({ ...shelf.version, err: error }, 'no VM could be kept ready');
      }
    }
  }

  /** One that ends by itself is given to nobody. */
  #watch(shelf: Shelf, spare: Spare): void {
    this.#options.pressure.watch();
    void Promise.race([spare.instance.exited, spare.agent.closed]).then(() => {
      if (!shelf.ready.includes(spare)) return;
      shelf.demand.forget();
      this.#inBackground(this.#drop(shelf, spare));
    });
  }

  /** Discards the oldest, so many or all. */
  async #empty(shelf: Shelf, count = shelf.ready.length): Promise<void> {
    for (const spare of shelf.ready.slice(0, Math.max(0, count))) await this.#drop(shelf, spare);
  }

  async #drop(shelf: Shelf, spare: Spare): Promise<void> {
    const at = shelf.ready.indexOf(spare);
    if (at < 0) return;
    shelf.ready.splice(at, 1);
    await this.#options.discard(spare);
  }

  /** Looks again when fewer are wanted; while none is, no timer runs. */
  #scheduleTrim(): void {
    const { clock } = this.#options;
    const falls = Array.from(this.#shelves.values(), ({ demand }) => demand.fallsIn(clock.now()));
    const next = Math.min(...falls.map((fall) => fall ?? Number.POSITIVE_INFINITY));
    if (Number.isFinite(next)) this.#cancelTrim = clock.schedule(next, () => this.#tend());
  }

  #inBackground(work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#options.logger.error({ err: error }, 'a VM kept ready could not be removed'),
    );
  }
}

function bytesOf(spares: readonly Spare[]): number {
  return spares.reduce((sum, { bytes }) => sum + bytes, 0);
}
