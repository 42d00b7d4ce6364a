import type { Logger } from 'pino';
import type { Clock } from '../model/clock.ts';
import { Trace, type TraceSummary } from '../telemetry/trace.ts';

export type TracedTransition = 'launch' | 'suspend' | 'resume';

/** Where the time of a microVM's latest transitions went. */
export type LatestTraces = Readonly<Partial<Record<TracedTransition, TraceSummary>>>;

/** VMs whose traces are kept; those whose last transition was longest ago are forgotten first. */
const mostVms = 500;

/** Traces of the latest transition of each kind. They are kept in memory only, for people to look at. */
export class TransitionTraces {
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #latest = new Map<string, LatestTraces>();

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  begin(): Trace {
    return new Trace(this.#clock.now());
  }

  of(microvmId: string): LatestTraces {
    return this.#latest.get(microvmId) ?? {};
  }

  /** Does a transition with its steps recorded, in a trace of its own or in one begun before. */
  async record(
    microvmId: string,
    transition: TracedTransition,
    work: () => Promise<void>,
    trace = this.begin(),
  ): Promise<void> {
    try {
      await trace.run(work);
    } finally {
      const summary = trace.end();
      const latest = { ...this.#latest.get(microvmId), [transition]: summary };
      this.#latest.delete(microvmId);
      this.#latest.set(microvmId, latest);
      if (this.#latest.size > mostVms) this.#forgetOldest();
      this.#logger.debug({ microvmId, transition, ...rounded(summary) }, 'where the time went');
    }
  }

  #forgetOldest(): void {
    const oldest = this.#latest.keys().next();
    if (!oldest.done) this.#latest.delete(oldest.value);
  }
}

function rounded({ durationMs, steps }: TraceSummary): object {
  return {
    durationMs: Math.round(durationMs),
    steps: Object.fromEntries(steps.map((step) => [step.name, Math.round(step.durationMs)])),
  };
}
