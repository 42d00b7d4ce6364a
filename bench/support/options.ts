export interface BenchmarkOptions {
  /** How often each thing is measured. */
  readonly n: number;
}
