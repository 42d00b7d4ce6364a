import { rm } from 'node:fs/promises';
import path from 'node:path';
import { syncDirectory } from '../../blobs/durable.ts';
import { MicrovmRepository } from '../../store/microvms.ts';
import { findIdleGroups, type IdleGroup, removeIdleGroup } from '../../vmm/qemu/idle-groups.ts';
import { vmmRemains } from '../../vmm/qemu/vmm-remains.ts';
import { type DataContext, microvmDirectory } from './context.ts';
import type { Finding } from './finding.ts';

/** What processes of microVMs left that were killed: control groups, and files in directories of microVMs. */
export async function examineVmmRemains(
  context: DataContext,
  inUse: ReadonlySet<string>,
): Promise<readonly Finding[]> {
  const groups = (await findIdleGroups(context.mountInfo)).map(idleGroup);
  const files: Finding[] = [];
  for (const { microvmId } of await new MicrovmRepository(context.reading).listLive()) {
    const directory = microvmDirectory(context, microvmId);
    if (inUse.has(directory)) continue;
    const names = await vmmRemains(directory).catch(() => []);
    if (names.length > 0) files.push(deadFiles(microvmId, directory, names));
  }
  return [...groups, ...files];
}

function idleGroup(group: IdleGroup): Finding {
  const finding: Finding = {
    kind: 'control-group',
    subject: group.name,
    detail: `holds no process any more: ${group.paths.join(', ')}`,
  };
  return group.removable
    ? {
        ...finding,
        repair: { does: `remove the control group ${group.name}`, run: () => removeIdleGroup(group) },
      }
    : { ...finding, remedy: 'repair as the user that the server runs as, or as root' };
}

function deadFiles(microvmId: string, directory: string, names: readonly string[]): Finding {
  return {
    kind: 'vmm-files',
    subject: microvmId,
    detail: `its process is gone and left ${names.join(', ')} in ${directory}`,
    repair: {
      does: `remove ${names.join(', ')} of ${microvmId}`,
      async run() {
        for (const name of names) await rm(path.join(directory, name), { force: true });
        await syncDirectory(directory);
      },
    },
  };
}
