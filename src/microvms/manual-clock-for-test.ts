import type { Clock } from '../model/clock.ts';

/** A clock that stands still until told. */
export class ManualClock implements Clock {
  time = 0;
  timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.time;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.time + delayMs, callback };
    this.timers.add(timer);
    return () => this.timers.delete(timer);
  }

  advanceTo(time: number): void {
    this.time = time;
    for (;;) {
      const due = [...this.timers].find((timer) => timer.at <= time);
      if (due === undefined) return;
      this.timers.delete(due);
      due.callback();
    }
  }
}
