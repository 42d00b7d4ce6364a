import { GuestVersionError } from '../guest/guest-agent.ts';
import { BuildFailure } from './build-failure.ts';

/**
 * Does something again, once, when the platform was what failed: a finished container image is worth more than one
 * attempt to start it.
 * @param beforeSecond removes what the first attempt has left, and may tell of it
 * @throws the error of the last attempt, or the signal's reason
 */
export async function withSecondAttempt<Result>(
  work: () => Promise<Result>,
  beforeSecond: (error: unknown) => Promise<void>,
  signal: AbortSignal,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    signal.throwIfAborted();
    if (!isWorthAnother(error)) throw error;
    await beforeSecond(error);
    return await work();
  }
}

/** What the application or its owner did wrong stays wrong, as does an agent of another version. */
function isWorthAnother(error: unknown): boolean {
  if (error instanceof BuildFailure) {
    return error.code === 'INTERNAL_PLATFORM_ERROR' && !(error.cause instanceof GuestVersionError);
  }
  return !(error instanceof Error && 'code' in error && error.code === 'ENOSPC');
}
