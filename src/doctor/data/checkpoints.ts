import { type Checkpoint, Checkpoints } from '../../microvms/checkpoints.ts';
import { MicrovmRepository } from '../../store/microvms.ts';
import { verifySuspended } from '../../vmm/qemu/difference.ts';
import { DifferenceCorruptError } from '../../vmm/vmm.ts';
import { type DataContext, microvmDirectory } from './context.ts';
import type { Finding } from './finding.ts';
import { unreadable } from './left-over.ts';

/** Checkpoints, of microVMs that run too, that cannot be returned to. */
export async function examineCheckpoints(context: DataContext): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  for (const { microvmId } of await new MicrovmRepository(context.reading).listLive()) {
    const checkpoints = new Checkpoints(microvmId, microvmDirectory(context, microvmId));
    for (const checkpoint of await checkpoints.list()) {
      const error = await verifySuspended(checkpoints.directoryOf(checkpoint), context.helper).then(
        () => undefined,
        (failure: unknown) => failure,
      );
      if (error !== undefined) found.push(findingOf(error, microvmId, checkpoint, checkpoints));
    }
  }
  return found;
}

function findingOf(
  error: unknown,
  microvmId: string,
  checkpoint: Checkpoint,
  checkpoints: Checkpoints,
): Finding {
  const kind = 'damaged-checkpoint';
  const subject = `${microvmId} ${checkpoint.name ?? checkpoint.checkpointId}`;
  const detail = error instanceof Error ? error.message : String(error);
  if (!(error instanceof DifferenceCorruptError)) return { kind, subject, ...unreadable(detail) };
  return {
    kind,
    subject,
    detail,
    remedy: 'restore its files from a backup; the microVM itself needs none of them',
    repair: {
      does: `delete the checkpoint ${checkpoint.checkpointId} of ${microvmId}`,
      run: () => checkpoints.remove(checkpoint),
    },
  };
}
