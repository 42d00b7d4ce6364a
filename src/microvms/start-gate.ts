import { step } from '../telemetry/trace.ts';

/**
 * Bounds how many VMs are restored at once. More than the processors carry would only make each of them slower,
 * until their guests answer too late for anyone. First come, first served.
 */
export class StartGate {
  #free: number;
  /** The longest waiting first. */
  readonly #waiting: (() => void)[] = [];

  /** @param width VMs restored at the same time */
  constructor(width: number) {
    this.#free = width;
  }

  /**
   * Does `work` once there is room for it.
   * @throws the signal's reason, if it aborts before the work begins
   */
  async run<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    if (this.#free === 0) await step('turn', () => this.#turn(signal));
    else this.#free -= 1;
    try {
      signal?.throwIfAborted();
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = (): void => {
      this.#waiting.splice(this.#waiting.indexOf(resolve), 1);
      reject(signal?.reason);
    };
    this.#waiting.push(resolve);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }
}
