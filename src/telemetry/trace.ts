import { AsyncLocalStorage } from 'node:async_hooks';

/** One step of something traced; times in milliseconds since its beginning. Steps may overlap. */
export interface TraceStep {
  readonly name: string;
  readonly startMs: number;
  readonly durationMs: number;
  readonly failed: boolean;
}

/** Where the time of something went. */
export interface TraceSummary {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly durationMs: number;
  readonly steps: readonly TraceStep[];
}

/** A trace is for people: what repeats without end is not recorded to the end. */
const mostSteps = 200;

const current = new AsyncLocalStorage<Trace>();

/** Records how long the steps of one undertaking take, wherever in the code they are: see {@link step}. */
export class Trace {
  readonly #startedAt: number;
  readonly #origin = performance.now();
  readonly #steps: TraceStep[] = [];
  #ended = false;

  /** @param startedAt milliseconds since the epoch */
  constructor(startedAt: number) {
    this.#startedAt = startedAt;
  }

  /** Steps that `work` takes, and all that it calls, are of this trace. */
  run<Result>(work: () => Result): Result {
    return current.run(this, work);
  }

  async record<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
    const begun = performance.now();
    let failed = true;
    try {
      const result = await work();
      failed = false;
      return result;
    } finally {
      if (!this.#ended && this.#steps.length < mostSteps) {
        const durationMs = performance.now() - begun;
        this.#steps.push({ name, startMs: begun - this.#origin, durationMs, failed });
      }
    }
  }

  /** What was recorded, in the order of beginning. What comes later is not: a connection outlives its making. */
  end(): TraceSummary {
    this.#ended = true;
    return {
      startedAt: this.#startedAt,
      durationMs: performance.now() - this.#origin,
      steps: this.#steps.toSorted((a, b) => a.startMs - b.startMs),
    };
  }
}

/** Does `work` as a named step of the trace that runs, if one does. */
export function step<Result>(name: string, work: () => Promise<Result>): Promise<Result> {
  const trace = current.getStore();
  return trace === undefined ? work() : trace.record(name, work);
}
