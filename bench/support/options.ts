export interface BenchmarkOptions {
  /** How often each thing is measured, time permitting. */
  readonly n: number;
  /** Most time, in milliseconds, that a benchmark takes for it. */
  readonly budgetMs: number;
}

/** Fewer say nothing, however slow the machine is. */
const fewest = 3;

/**
 * Numbers the rounds of a benchmark: as many as are wanted, fewer when the time is over.
 * @param share of the budget, where a benchmark has several parts
 */
export function* rounds({ n, budgetMs }: BenchmarkOptions, share = 1): Generator<number> {
  const end = performance.now() + budgetMs * share;
  for (let round = 0; round < n && (round < fewest || performance.now() < end); round += 1) yield round;
}
