import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Clock } from '../model/clock.ts';

/** How often the host's memory is looked at while anything is held. */
const checkMs = 5_000;
/** Below this share of available memory the host needs it more than we do. */
const scarceShare = 0.1;

export interface HostMemory {
  readonly totalBytes: number;
  readonly availableBytes: number;
}

/** Holds memory that makes something faster, and that nothing depends on. */
export interface SpareMemory {
  readonly bytes: number;
  /** Frees so much, or all of it when there is less. */
  release(bytes: number): Promise<void>;
}

export interface HostPressureOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly hostMemory?: () => Promise<HostMemory>;
}

/** Takes memory held for speed back when the host runs short of it. */
export class HostPressure {
  readonly #options: HostPressureOptions;
  readonly #holders: SpareMemory[] = [];
  #cancelCheck: (() => void) | undefined;

  constructor(options: HostPressureOptions) {
    this.#options = options;
  }

  /** @param holder gives way before those added after it */
  add(holder: SpareMemory): void {
    this.#holders.push(holder);
  }

  /** Says that a holder has memory. While none has any, nothing is looked at. */
  watch(): void {
    if (this.#cancelCheck !== undefined || this.#holders.every((holder) => holder.bytes === 0)) return;
    this.#cancelCheck = this.#options.clock.schedule(checkMs, () => {
      this.#cancelCheck = undefined;
      this.#relieve()
        .catch((error: unknown) =>
          this.#options.logger.error({ err: error }, 'the memory of the host was not checked'),
        )
        .finally(() => this.watch());
    });
  }

  close(): void {
    this.#cancelCheck?.();
    this.#cancelCheck = undefined;
  }

  /** @throws when the host does not say */
  async hostMemory(): Promise<HostMemory> {
    return await (this.#options.hostMemory ?? readHostMemory)();
  }

  /** Memory that gives way when it is asked to. */
  get heldBytes(): number {
    return this.#holders.reduce((sum, holder) => sum + holder.bytes, 0);
  }

  async #relieve(): Promise<void> {
    const { totalBytes, availableBytes } = await this.hostMemory();
    await this.reclaim(totalBytes * scarceShare - availableBytes);
  }

  /** Frees so much of what is held, or all of it when there is less. */
  async reclaim(bytes: number): Promise<void> {
    let missing = bytes;
    for (const holder of this.#holders) {
      if (missing <= 0) return;
      const held = holder.bytes;
      await holder.release(missing);
      missing -= held - holder.bytes;
    }
  }
}

async function readHostMemory(): Promise<HostMemory> {
  const text = await readFile('/proc/meminfo', 'utf8');
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1]) * 1024;
  return { totalBytes: bytes('MemTotal'), availableBytes: bytes('MemAvailable') };
}
