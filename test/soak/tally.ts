/** What is counted over all microVMs and servers. */
export class Tally {
  cycles = 0;
  requests = 0;
  forks = 0;
  serversKilled = 0;
  machinesKilledAwake = 0;
  machinesKilledAsleep = 0;
  wakesFromCache = 0;
  wakesFromDisk = 0;
  launchesFromPool = 0;
  largestDifferenceBytes = 0;
  readonly losses: string[] = [];
  /** Random output of every guest, ever. */
  readonly drawn = new Set<string>();
  readonly #startedAt = performance.now();

  fail(error: unknown): void {
    this.losses.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }

  describe(): string {
    const minutes = (performance.now() - this.#startedAt) / 60_000;
    return JSON.stringify({
      minutes: Number(minutes.toFixed(1)),
      cycles: this.cycles,
      cyclesPerMinute: Number((this.cycles / minutes).toFixed(1)),
      requests: this.requests,
      wakesFromCache: this.wakesFromCache,
      wakesFromDisk: this.wakesFromDisk,
      launchesFromPool: this.launchesFromPool,
      forks: this.forks,
      serversKilled: this.serversKilled,
      machinesKilledAwake: this.machinesKilledAwake,
      machinesKilledAsleep: this.machinesKilledAsleep,
      largestDifferenceBytes: this.largestDifferenceBytes,
      distinctRandoms: this.drawn.size,
      losses: this.losses.length,
    });
  }
}

/** What a microVM had acknowledged is not there any more. */
export class LossError extends Error {
  override readonly name = 'LossError';
}
