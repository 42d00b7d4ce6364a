/** CPU time that a guest may use until its agent speaks; an emulated one needs some 15 s of it. */
const longestBootCpuSeconds = 75;
/** A VMM that uses less than this much of its processors stands still, for as long as this at most. */
const leastCpuSeconds = 0.5;
const longestStandstillMs = 75_000;
/** However much it gets done. */
const longestBootMs = 900_000;

/**
 * Whether a guest that starts still gets somewhere. On a busy host a boot takes as long as the others leave it, so what
 * counts is the CPU time that its VMM has had: neither too much of it, nor none at all.
 */
export class BootProgress {
  readonly #start: number;
  #last: { readonly at: number; readonly cpuSeconds: number };

  /** @param now milliseconds of a steady clock */
  constructor(now: number) {
    this.#start = now;
    this.#last = { at: now, cpuSeconds: 0 };
  }

  /**
   * @param cpuSeconds that the VMM has used so far; undefined where it cannot be told
   * @returns why waiting on is of no use, if it is not
   */
  note(now: number, cpuSeconds: number | undefined): string | undefined {
    const used = cpuSeconds ?? 0;
    if (used - this.#last.cpuSeconds >= leastCpuSeconds) this.#last = { at: now, cpuSeconds: used };
    const waitedMs = now - this.#start;
    if (used >= longestBootCpuSeconds) {
      return `the guest has used ${Math.round(used)} s of CPU time without having started`;
    }
    if (now - this.#last.at >= longestStandstillMs) {
      return `the guest has not got on for ${Math.round((now - this.#last.at) / 1000)} s`;
    }
    if (waitedMs >= longestBootMs) return `the guest has not started in ${Math.round(waitedMs / 1000)} s`;
    return undefined;
  }
}
