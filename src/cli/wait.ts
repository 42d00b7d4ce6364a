import { setTimeout as delay } from 'node:timers/promises';

/** The service has no call that waits, so its clients ask again. */
export async function poll<Result>(
  intervalMs: number,
  ask: () => Promise<Result | undefined>,
): Promise<Result> {
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    await delay(intervalMs);
  }
}
