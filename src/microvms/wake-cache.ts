import type { VmmInstance } from '../vmm/vmm.ts';
import type { HostPressure, SpareMemory } from './host-pressure.ts';

export interface WakeCacheOptions {
  /** Memory all kept processes together may hold; 0 keeps none. */
  readonly limitBytes: number;
  /** Asks for memory back when the host runs short; this adds itself to it. */
  readonly pressure: HostPressure;
}

interface Kept {
  readonly instance: VmmInstance;
  readonly bytes: number;
}

/**
 * Paused VMM processes of suspended VMs. Each VM is durable on the disk already, so an entry may be dropped at
 * any time; while it is there, waking the VM takes as long as starting its virtual CPUs. Bounded by memory; the
 * VM asleep for longest goes first, and all of them when the host runs short.
 */
export class WakeCache implements SpareMemory {
  readonly #options: WakeCacheOptions;
  /** In the order of falling asleep. */
  readonly #kept = new Map<string, Kept>();
  #total = 0;
  #hits = 0;
  #misses = 0;

  constructor(options: WakeCacheOptions) {
    this.#options = options;
    options.pressure.add(this);
  }

  get enabled(): boolean {
    return this.#options.limitBytes > 0;
  }

  get size(): number {
    return this.#kept.size;
  }

  /** Memory that the kept processes had when they were taken over. */
  get bytes(): number {
    return this.#total;
  }

  get limitBytes(): number {
    return this.#options.limitBytes;
  }

  /** Wakes that found a process, and those that did not, since the start of the server. */
  get hits(): number {
    return this.#hits;
  }

  get misses(): number {
    return this.#misses;
  }

  /** Takes over the paused process of a VM that has just been suspended; one that there is no room for is ended. */
  async keepOrEnd(microvmId: string, instance: VmmInstance): Promise<void> {
    const usage = this.enabled ? await instance.usage().catch(() => undefined) : undefined;
    const bytes = usage?.proportionalBytes ?? Number.POSITIVE_INFINITY;
    if (bytes > this.#options.limitBytes) {
      await instance.kill();
      return;
    }
    const entry = { instance, bytes };
    this.#kept.set(microvmId, entry);
    this.#total += bytes;
    void instance.exited.then(() => this.#forget(microvmId, entry));
    await this.#shrinkTo(this.#options.limitBytes);
    this.#options.pressure.watch();
  }

  /** The process of a VM that is to wake, which is the caller's from here on. */
  takeToWake(microvmId: string): VmmInstance | undefined {
    const instance = this.take(microvmId);
    if (instance === undefined) this.#misses += 1;
    else this.#hits += 1;
    return instance;
  }

  /** The process of a VM, which is the caller's from here on. */
  take(microvmId: string): VmmInstance | undefined {
    const entry = this.#kept.get(microvmId);
    if (entry !== undefined) this.#forget(microvmId, entry);
    return entry?.instance;
  }

  /** Ends every kept process. */
  async clear(): Promise<void> {
    await this.#shrinkTo(0);
  }

  async release(bytes: number): Promise<void> {
    await this.#shrinkTo(Math.max(0, this.#total - bytes));
  }

  async #shrinkTo(limit: number): Promise<void> {
    for (const [microvmId, entry] of this.#kept) {
      if (this.#total <= limit) return;
      this.#forget(microvmId, entry);
      await entry.instance.kill();
    }
  }

  #forget(microvmId: string, entry: Kept): void {
    if (this.#kept.get(microvmId) !== entry) return;
    this.#kept.delete(microvmId);
    this.#total -= entry.bytes;
  }
}
