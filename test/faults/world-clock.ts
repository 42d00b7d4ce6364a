import type { Clock } from '../../src/model/clock.ts';
import { ServerProcess } from './server-process.ts';

/** Time that goes on by itself while a test waits. Timers belong to the server that set them, and end with it. */
export class WorldClock implements Clock {
  #time = 1_700_000_000_000;
  readonly #timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.#time;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const server = ServerProcess.current;
    const timer = {
      at: this.#time + delayMs,
      callback: () => (server === undefined ? callback() : server.run(callback)),
    };
    this.#timers.add(timer);
    server?.onCrash(() => this.#timers.delete(timer));
    return () => this.#timers.delete(timer);
  }

  advance(ms: number): void {
    const end = this.#time + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#time = Math.max(this.#time, due.at);
      this.#timers.delete(due);
      due.callback();
    }
    this.#time = end;
  }
}
