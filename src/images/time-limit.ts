import { containerBuildFailed } from './build-failure.ts';

/**
 * Aborts `work` when it takes longer than what an image holds may take.
 * @param what begins the sentence that says so to the image's owner
 * @throws {BuildFailure} CONTAINER_BUILD_FAILED
 */
export async function within<Result>(
  signal: AbortSignal,
  limitMs: number,
  what: string,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const limit = new AbortController();
  const reason = containerBuildFailed(`${what} within ${limitMs / 1000} seconds.`);
  const timer = setTimeout(() => limit.abort(reason), limitMs);
  try {
    return await work(AbortSignal.any([signal, limit.signal]));
  } finally {
    clearTimeout(timer);
  }
}
