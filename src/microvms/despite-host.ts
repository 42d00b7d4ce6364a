import { persistently } from '../model/persistently.ts';
import type { Engine } from './engine.ts';

/** What the host's system calls and the store say when they cannot serve us: it says nothing about a VM. */
const hostFailures: ReadonlySet<string> = new Set([
  'EAGAIN',
  'EDQUOT',
  'EIO',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ENOSPC',
  'EROFS',
  'ERR_SQLITE_ERROR',
  'ERR_STORE_UNAVAILABLE',
]);

/** Whether the host, and not the VM, is why something failed: it may work later. */
export function isHostFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && typeof error.code === 'string' && hostFailures.has(error.code)) return true;
  return isHostFailure(error.cause);
}

/**
 * Does what must not cost a VM its life only because the host is short of something for a while: failures of the
 * host are met with another attempt, until the server closes.
 * @throws what `work` throws of its own; the signal's reason; that the server is closing
 */
export async function despiteHost<Result>(
  engine: Pick<Engine, 'clock' | 'closing' | 'logger'>,
  microvmId: string,
  work: () => Promise<Result>,
  signal?: AbortSignal,
): Promise<Result> {
  return await persistently(work, {
    clock: engine.clock,
    signal: signal === undefined ? engine.closing : AbortSignal.any([signal, engine.closing]),
    onFailure: (error) => {
      if (!isHostFailure(error)) throw error;
      engine.logger.error({ microvmId, err: error }, 'the host cannot do it now; trying again');
    },
  });
}
