import path from 'node:path';
import { entries } from '../../blobs/entries.ts';
import { applyEvent, type Microvm, terminationReasons } from '../../model/microvm.ts';
import { MicrovmRepository } from '../../store/microvms.ts';
import { readDifference, verifyDifference } from '../../vmm/qemu/difference.ts';
import { DifferenceCorruptError } from '../../vmm/vmm.ts';
import { type DataContext, microvmDirectory } from './context.ts';
import type { Finding } from './finding.ts';
import { leftOver, remove, unreadable } from './left-over.ts';

/** Sleeping microVMs whose files are damaged or missing, and files of no microVM. */
export async function examineMicrovms(
  context: DataContext,
  inUse: ReadonlySet<string>,
): Promise<readonly Finding[]> {
  const live = await new MicrovmRepository(context.reading).listLive();
  const found: Finding[] = [];
  for (const vm of live) {
    // One whose process runs is not in its files.
    if (vm.state !== 'SUSPENDED' || inUse.has(microvmDirectory(context, vm.microvmId))) continue;
    found.push(...(await examine(context, vm)));
  }
  const ids = new Set(live.map(({ microvmId }) => microvmId));
  for (const name of await entries(path.join(context.directory, 'microvms'))) {
    if (!ids.has(name)) {
      found.push(leftOver('microvm-files', microvmDirectory(context, name), 'of no microVM that is alive'));
    }
  }
  return found;
}

async function examine(context: DataContext, vm: Microvm): Promise<readonly Finding[]> {
  const directory = microvmDirectory(context, vm.microvmId);
  try {
    const stored = await readDifference(directory);
    if (stored === undefined) {
      return [damaged(context, vm, `what it stored when it fell asleep is missing in ${directory}`)];
    }
    await verifyDifference(directory, stored.snapshotId, context.helper);
    return [];
  } catch (error) {
    if (error instanceof DifferenceCorruptError) return [damaged(context, vm, error.message)];
    const why = error instanceof Error ? error.message : String(error);
    return [{ kind: 'damaged-microvm', subject: vm.microvmId, ...unreadable(why) }];
  }
}

function damaged(context: DataContext, vm: Microvm, detail: string): Finding {
  const { microvmId } = vm;
  return {
    kind: 'damaged-microvm',
    subject: microvmId,
    detail,
    remedy: 'restore its directory from a backup; a checkpoint in it can be whole: roll back to that',
    repair: {
      does: `terminate ${microvmId} and remove its files`,
      async run() {
        const now = context.now();
        const ended = applyEvent(vm, { type: 'terminated', reason: terminationReasons.lost }, now);
        const repository = new MicrovmRepository(await context.writing());
        const lastActivityAt = await repository.lastActivity(microvmId);
        await repository.transition(ended, vm.state, { now, lastActivityAt });
        await remove(microvmDirectory(context, microvmId));
      },
    },
  };
}
