export interface Summary {
  readonly n: number;
  readonly median: number;
  readonly p99: number;
  readonly minimum: number;
  readonly maximum: number;
}

/** @throws {RangeError} there are no samples */
export function summarize(samples: readonly number[]): Summary {
  const sorted = samples.toSorted((a, b) => a - b);
  return {
    n: sorted.length,
    median: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    minimum: quantile(sorted, 0),
    maximum: quantile(sorted, 1),
  };
}

/** Nearest rank: a value that was really measured. */
function quantile(sorted: readonly number[], fraction: number): number {
  const value = sorted[Math.max(0, Math.ceil(fraction * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('no samples');
  return value;
}
