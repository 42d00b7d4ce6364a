/** Time as the rules of the product see it; tests drive their own. Milliseconds throughout. */
export interface Clock {
  now(): number;
  /** Calls `callback` once after `delayMs`; returns what cancels it. */
  schedule(delayMs: number, callback: () => void): () => void;
}

const longestTimer = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  schedule(delayMs, callback) {
    let timer: NodeJS.Timeout;
    const arm = (left: number): void => {
      timer = setTimeout(
        () => (left > longestTimer ? arm(left - longestTimer) : callback()),
        Math.min(Math.max(left, 0), longestTimer),
      );
      timer.unref();
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};
