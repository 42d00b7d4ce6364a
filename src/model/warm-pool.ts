/** How many VMs of an image version are kept ready to be launched. */
export type WarmPoolPolicy =
  | { readonly kind: 'off' }
  /** So many of each version that has been launched from. */
  | { readonly kind: 'fixed'; readonly count: number }
  /** As many as recent launches suggest, at most so many of a version. */
  | { readonly kind: 'adaptive'; readonly most: number };

const defaultMost = 4;
const largestCount = 100;
/** After so long without a launch half of what earlier ones suggest is left. */
const halfLifeMs = 120_000;
/** A launch alone suggests nothing: it takes the next one soon after it for a VM to be kept ready. */
const unremarkable = 0.5;

/**
 * Reads `off`, `fixed:N`, `adaptive` or `adaptive:MAX`.
 * @throws {RangeError} saying what is expected
 */
export function parseWarmPoolPolicy(text: string): WarmPoolPolicy {
  if (text === 'off') return { kind: 'off' };
  const [, kind, number] = /^(fixed|adaptive)(?::(\d{1,3}))?$/.exec(text) ?? [];
  const count = number === undefined ? undefined : Number(number);
  const usable = count === undefined ? kind === 'adaptive' : count >= 1 && count <= largestCount;
  if (kind === undefined || !usable) {
    throw new RangeError(`expected off, fixed:N, adaptive or adaptive:MAX, with 1 to ${largestCount}`);
  }
  return kind === 'fixed' ? { kind, count: count ?? 1 } : { kind: 'adaptive', most: count ?? defaultMost };
}

/**
 * What the launches of one version so far suggest for the near future. They count for less the longer ago they
 * were, so that a version nobody launches any more is soon not kept ready at all. Times in milliseconds.
 */
export class LaunchDemand {
  readonly #policy: WarmPoolPolicy;
  #level = 0;
  #at = 0;

  constructor(policy: WarmPoolPolicy) {
    this.#policy = policy;
  }

  note(now: number): void {
    // What a storm of launches suggests is forgotten as soon as what a few suggest.
    const most = this.#policy.kind === 'adaptive' ? this.#policy.most + 1 : 1;
    this.#level = Math.min(this.#levelAt(now) + 1, most);
    this.#at = now;
  }

  /** From now on as if there had been no launch. */
  forget(): void {
    this.#level = 0;
  }

  /** VMs to keep ready. */
  wanted(now: number): number {
    switch (this.#policy.kind) {
      case 'off':
        return 0;
      case 'fixed':
        return this.#level > 0 ? this.#policy.count : 0;
      case 'adaptive':
        return Math.max(0, Math.floor(this.#levelAt(now) - unremarkable));
    }
  }

  /** Time until fewer are wanted if nothing is launched; undefined when that is never. */
  fallsIn(now: number): number | undefined {
    const wanted = this.wanted(now);
    if (this.#policy.kind !== 'adaptive' || wanted === 0) return undefined;
    return Math.ceil(halfLifeMs * Math.log2(this.#levelAt(now) / (wanted + unremarkable))) + 1;
  }

  #levelAt(now: number): number {
    return this.#level * 0.5 ** (Math.max(0, now - this.#at) / halfLifeMs);
  }
}
