import type { Clock } from '../model/clock.ts';
import { WorkBudget } from '../model/work-budget.ts';
import { LineCutter } from './line-cutter.ts';
import type { LogEvent, LogStore } from './log-store.ts';
import { OutputQueue } from './output-queue.ts';

export interface LogDestination {
  readonly group: string;
  readonly stream: string;
}

export interface LogPumpOptions {
  readonly logs: Pick<LogStore, 'append'>;
  readonly destination: LogDestination;
  readonly clock: Clock;
  readonly onError: (error: unknown) => void;
  /** Told of output that is not stored because too much came. */
  readonly onDropped?: ((bytes: number) => void) | undefined;
}

/** Stored a second in the long run, and at once: as much as the two segments of a stream keep. */
const bytesPerSecond = 1024 * 1024;
const burstBytes = 16 * 1024 * 1024;
/** What a line costs besides its bytes: empty ones are not free. */
const lineBytes = 100;
/** Of what is taken apart in one turn of the event loop. */
const turnBytes = 64 * 1024;
const turnLines = 500;
/** What is still stored at the end, where nobody waits for the rate: at least so much, or this part of what is left. */
const lastBytes = 64 * 1024;
const lastPart = 16;

/**
 * Cuts output into lines and stores them, a bounded piece at a time and at a bounded rate. What comes faster waits as it
 * came, and beyond a bound is dropped, oldest first; a line in its place says how much.
 */
export class LogPump {
  readonly #options: LogPumpOptions;
  readonly #queue = new OutputQueue();
  readonly #cutters = new Map<string, LineCutter>();
  readonly #budget: WorkBudget;
  #writing: Promise<void> | undefined;
  #ending = false;
  #goOn: (() => void) | undefined;

  constructor(options: LogPumpOptions) {
    this.#options = options;
    this.#budget = new WorkBudget(bytesPerSecond, burstBytes, () => options.clock.now());
  }

  /** @param chunk copied */
  write(source: string, chunk: Uint8Array): void {
    this.#dropped(this.#queue.push(source, this.#options.clock.now(), chunk));
    this.#begin();
  }

  /** Output is missing here that never came. */
  lose(bytes: number): void {
    this.#queue.lose(bytes);
    this.#dropped(bytes);
    this.#begin();
  }

  /** Writes what is left, unfinished lines included. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#dropped(this.#queue.shed(Math.max(lastBytes, this.#budget.left / lastPart)));
    this.#goOn?.();
    this.#begin();
    await this.#writing;
    await this.#append(this.#unfinished());
  }

  #dropped(bytes: number): void {
    if (bytes > 0) this.#options.onDropped?.(bytes);
  }

  #begin(): void {
    if (this.#writing !== undefined || this.#queue.isEmpty) return;
    this.#writing = this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  async #drain(): Promise<void> {
    while (!this.#queue.isEmpty) {
      const waitMs = this.#budget.waitMs;
      if (waitMs > 0 && !this.#ending) await this.#wait(waitMs);
      await this.#append(this.#cut());
    }
  }

  async #wait(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.schedule(milliseconds, resolve);
    this.#goOn = resolve;
    await promise;
    this.#goOn = undefined;
    cancel();
  }

  /** Takes a turn's worth of what waits apart. */
  #cut(): LogEvent[] {
    const events: LogEvent[] = [];
    let bytes = 0;
    while (events.length < turnLines && bytes < turnBytes) {
      const next = this.#queue.shift();
      if (next === undefined) break;
      if ('lost' in next) {
        const message = `[${next.lost} bytes of output dropped]`;
        events.push(...this.#unfinished(), { timestamp: this.#options.clock.now(), message });
        continue;
      }
      const cutter = this.#cutters.get(next.source) ?? new LineCutter();
      this.#cutters.set(next.source, cutter);
      const used = cutter.cut(next.bytes, turnLines - events.length, (message) =>
        events.push({ timestamp: next.at, message }),
      );
      bytes += used;
      if (used < next.bytes.length) this.#queue.unshift({ ...next, bytes: next.bytes.subarray(used) });
    }
    this.#budget.spend(bytes + events.length * lineBytes);
    return events;
  }

  /** Lines that have begun and will not end. */
  #unfinished(): LogEvent[] {
    const timestamp = this.#options.clock.now();
    const rests = [...this.#cutters.values()].map((cutter) => cutter.rest());
    return rests.filter((rest) => rest !== undefined).map((message) => ({ timestamp, message }));
  }

  async #append(events: readonly LogEvent[]): Promise<void> {
    if (events.length === 0) return;
    const { logs, destination, onError } = this.#options;
    try {
      await logs.append(destination.group, destination.stream, events);
    } catch (error) {
      onError(error);
    }
  }
}
