import { ByteQueue } from '../model/byte-queue.ts';

/** Beyond so much that waits, the older half of it is dropped. */
const mostHeld = 1024 * 1024;
/** What a change of source costs besides its bytes. */
const runBytes = 128;
/** Bytes that came within this time in one go have one time. */
const runMs = 1000;

/** Bytes of one source. */
export interface Helping {
  readonly source: string;
  /** When they came. */
  readonly at: number;
  readonly bytes: Buffer;
}

/** Bytes that were there and are not any more. */
export interface Gap {
  readonly lost: number;
}

interface Run {
  readonly source: string;
  readonly at: number;
  readonly bytes: ByteQueue;
}

/**
 * Output that waits to be taken apart, as it came. Whoever is not kept up with loses its oldest output, in few large
 * pieces rather than many small ones, and where it is missing there is a gap.
 */
export class OutputQueue {
  readonly #runs: (Run | Gap)[] = [];
  #held = 0;

  get isEmpty(): boolean {
    return this.#runs.length === 0;
  }

  /**
   * @param bytes copied
   * @returns bytes that had to be dropped for them
   */
  push(source: string, at: number, bytes: Uint8Array): number {
    const last = this.#runs.at(-1);
    if (last === undefined || 'lost' in last || last.source !== source || at - last.at >= runMs) {
      this.#runs.push({ source, at, bytes: new ByteQueue() });
      this.#held += runBytes;
    }
    const run = this.#runs.at(-1);
    if (run !== undefined && 'bytes' in run) run.bytes.push(bytes);
    this.#held += bytes.length;
    return this.#held > mostHeld ? this.shed(mostHeld / 2) : 0;
  }

  /** Bytes are missing behind those that are here. */
  lose(bytes: number): void {
    this.#runs.push({ lost: bytes });
    this.#held += runBytes;
  }

  /** Drops the oldest until there is no more than `most`. @returns bytes dropped */
  shed(most: number): number {
    let dropped = 0;
    let lost = 0;
    while (this.#held > most) {
      const next = this.shift();
      if (next === undefined) break;
      if ('lost' in next) lost += next.lost;
      else dropped += next.bytes.length;
    }
    if (dropped + lost > 0) {
      this.#runs.unshift({ lost: dropped + lost });
      this.#held += runBytes;
    }
    return dropped;
  }

  shift(): Helping | Gap | undefined {
    const [first] = this.#runs;
    if (first === undefined) return undefined;
    if ('lost' in first) {
      this.#runs.shift();
      this.#held -= runBytes;
      return first;
    }
    const bytes = first.bytes.shift();
    this.#held -= bytes?.length ?? 0;
    if (first.bytes.length === 0) {
      this.#runs.shift();
      this.#held -= runBytes;
    }
    return { source: first.source, at: first.at, bytes: bytes ?? Buffer.alloc(0) };
  }

  /** Puts back what was not used of a helping. */
  unshift({ source, at, bytes }: Helping): void {
    const [first] = this.#runs;
    if (first !== undefined && 'bytes' in first && first.source === source && first.at === at) {
      first.bytes.unshift(bytes);
    } else {
      const run: Run = { source, at, bytes: new ByteQueue() };
      run.bytes.unshift(bytes);
      this.#runs.unshift(run);
      this.#held += runBytes;
    }
    this.#held += bytes.length;
  }
}
