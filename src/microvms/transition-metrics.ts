import { endCauseOf, endCauses } from '../model/microvm.ts';
import type { Count, Duration, Metrics } from '../telemetry/metrics.ts';
import type { Engine } from './engine.ts';
import { HookFailedError } from './lifecycle-hooks.ts';

export type MeasuredTransition =
  | 'launch'
  | 'suspend'
  | 'resume'
  | 'fork'
  | 'checkpoint'
  | 'rollback'
  | 'commit'
  | 'terminate';

/** How long what is done to microVMs takes, and what comes of it. */
export class TransitionMetrics {
  readonly #durations: Duration;
  readonly #ends: Count;
  readonly #dropped: Count;

  constructor(metrics: Metrics) {
    this.#durations = metrics.duration(
      'microvm_transition_duration_seconds',
      'Time that a change of state of a microVM took; the resume of a request that woke one is among them.',
      ['transition', 'outcome'],
    );
    this.#ends = metrics.count('microvm_ends_total', 'MicroVMs that have ended, by why.', ['cause']);
    this.#dropped = metrics.count(
      'microvm_output_dropped_bytes_total',
      'Output of microVMs that was not stored because too much came.',
    );
    // Seen before the first of them, so that the first one is seen as a change.
    for (const cause of endCauses) this.#ends.add(0, cause);
  }

  /** @param reason the `stateReason` of the microVM that has ended */
  ended(reason: string): void {
    this.#ends.add(1, endCauseOf(reason));
  }

  /** Output of a microVM was more than is stored. */
  outputDropped(bytes: number): void {
    this.#dropped.add(bytes);
  }

  /** Does the work of a transition. */
  async measure<Result>(
    transition: MeasuredTransition,
    work: () => Promise<Result>,
    signal?: AbortSignal,
  ): Promise<Result> {
    const begun = performance.now();
    const record = (outcome: string): void =>
      this.#durations.observe((performance.now() - begun) / 1000, transition, outcome);
    try {
      const result = await work();
      record('success');
      return result;
    } catch (error) {
      record(outcomeOf(error, signal));
      throw error;
    }
  }
}

/** What there is of microVMs, and of those that sleep with their process kept. */
export function declareMicrovmMetrics(
  metrics: Metrics,
  { repository, wakeCache, warmPool }: Pick<Engine, 'repository' | 'wakeCache' | 'warmPool'>,
): void {
  metrics.reading('microvms', 'MicroVMs by state, without those that have ended.', countStates, ['state']);
  async function countStates() {
    const counts = await repository.countLive();
    return Array.from(counts, ([state, value]) => ({ value, labels: [state] }));
  }
  metrics.reading('wake_cache_microvms', 'Sleeping microVMs whose process is kept.', () => wakeCache.size);
  metrics.reading('wake_cache_bytes', 'Memory of the processes kept.', () => wakeCache.bytes);
  metrics.reading('wake_cache_limit_bytes', 'Most memory they may have.', () => wakeCache.limitBytes);
  const wakes = 'Wakes that found the process of the microVM';
  metrics.total('wake_cache_hits_total', `${wakes}.`, () => wakeCache.hits);
  metrics.total('wake_cache_misses_total', `${wakes} gone, or never kept.`, () => wakeCache.misses);
  metrics.reading('warm_pool_microvms', 'VMs kept ready for launches.', () => warmPool.size);
  metrics.reading('warm_pool_bytes', 'Memory of the VMs kept ready.', () => warmPool.bytes);
  metrics.total('warm_pool_hits_total', 'Launches that found a VM kept ready.', () => warmPool.hits);
  metrics.total('warm_pool_misses_total', 'Launches that found none.', () => warmPool.misses);
}

function outcomeOf(error: unknown, signal: AbortSignal | undefined): string {
  if (signal?.aborted) return 'interrupted';
  return error instanceof HookFailedError ? 'hook_failed' : 'failed';
}
