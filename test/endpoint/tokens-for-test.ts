import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { openTokens, type Tokens } from '../../src/endpoint/tokens.ts';
import { type Clock, systemClock } from '../../src/model/clock.ts';

/** Tokens with keys of their own, removed with the test. */
export async function createTokensForTest(
  t: TestContext,
  clock: Pick<Clock, 'now'> = systemClock,
): Promise<Tokens> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-tokens-'));
  t.after(() => rm(directory, { recursive: true }));
  return await openTokens({ directory, clock });
}
