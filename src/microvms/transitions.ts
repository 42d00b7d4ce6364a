import type { Logger } from 'pino';
import type { Clock } from '../model/clock.ts';
import { Trace, type TraceSummary } from '../telemetry/trace.ts';
import { abortable } from './abortable.ts';

export type TracedTransition = 'launch' | 'suspend' | 'resume';

/** Where the time of a microVM's latest transitions went. */
export type LatestTraces = Readonly<Partial<Record<TracedTransition, TraceSummary>>>;

/** VMs whose traces are kept; those whose last transition was longest ago are forgotten first. */
const mostVms = 500;
/** A burst of calls has pauses as long as its clients take between two of them. */
const settleMs = 200;
/** Longest that work which can wait does wait: a host that is never quiet needs it most. */
const patienceMs = 5_000;

export interface TransitionsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  /** Of the host. */
  readonly processors: number;
}

/**
 * The transitions under way on this host, and where the time of the latest ones went. Traces are kept in memory
 * only, for people to look at.
 */
export class Transitions {
  readonly #clock: Clock;
  readonly #logger: Logger;
  /** So many transitions at once make a busy host. */
  readonly #many: number;
  readonly #latest = new Map<string, LatestTraces>();
  #underWay = 0;
  #begun = 0;

  constructor({ clock, logger, processors }: TransitionsOptions) {
    this.#clock = clock;
    this.#logger = logger;
    this.#many = Math.max(1, Math.floor(processors / 2));
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
    this.#begun += 1;
    this.#underWay += 1;
    try {
      await trace.run(work);
    } finally {
      this.#underWay -= 1;
      this.#keep(microvmId, transition, trace.end());
    }
  }

  /**
   * Resolves once the host has processors to spare for a moment, or after a while without: work that can wait goes
   * then.
   * @throws the signal's reason
   */
  async quiet(signal: AbortSignal): Promise<void> {
    const end = this.#clock.now() + patienceMs;
    for (;;) {
      signal.throwIfAborted();
      const begun = this.#begun;
      await abortable(new Promise<void>((resolve) => this.#clock.schedule(settleMs, resolve)), signal);
      const isQuiet = this.#underWay < this.#many && this.#begun - begun < this.#many;
      if (isQuiet || this.#clock.now() >= end) return;
    }
  }

  #keep(microvmId: string, transition: TracedTransition, summary: TraceSummary): void {
    const latest = { ...this.#latest.get(microvmId), [transition]: summary };
    this.#latest.delete(microvmId);
    this.#latest.set(microvmId, latest);
    if (this.#latest.size > mostVms) this.#forgetOldest();
    this.#logger.debug({ microvmId, transition, ...rounded(summary) }, 'where the time went');
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
