import { readdir, readlink } from 'node:fs/promises';
import path from 'node:path';
import { MicrovmRepository } from '../../store/microvms.ts';
import { removeGroupsOf } from '../../vmm/qemu/idle-groups.ts';
import { identify, killProcess, type ProcessIdentity } from '../../vmm/qemu/process.ts';
import { type DataContext, microvmDirectory } from './context.ts';
import type { Finding } from './finding.ts';

/** A process that works in the data directory. */
export interface WorkingProcess {
  readonly identity: ProcessIdentity;
  /** Its working directory, by which a VMM belongs to its VM. */
  readonly directory: string;
}

/** Processes that work in directories of microVMs and of builds. */
export async function workingProcesses(directory: string): Promise<readonly WorkingProcess[]> {
  const rooms = ['microvms', 'images/builds'].map((room) => path.join(directory, room));
  const found: WorkingProcess[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const home = await readlink(`/proc/${entry}/cwd`).catch(() => '');
    if (!rooms.some((room) => home.startsWith(`${room}/`))) continue;
    const identity = await identify(Number(entry));
    if (identity !== undefined) found.push({ identity, directory: home.replace(/ \(deleted\)$/, '') });
  }
  return found;
}

/** Processes that belong to no microVM which is alive. */
export async function examineProcesses(
  context: DataContext,
  processes: readonly WorkingProcess[],
): Promise<readonly Finding[]> {
  const live = await new MicrovmRepository(context.reading).listLive();
  const owned = new Set(live.map(({ microvmId }) => microvmDirectory(context, microvmId)));
  return processes
    .filter(({ directory }) => !owned.has(directory))
    .map(({ identity, directory }) => ({
      kind: 'process',
      subject: `process ${identity.pid}`,
      detail: `works in ${directory} and belongs to no microVM that is alive`,
      repair: {
        does: `end process ${identity.pid}`,
        run: async () => {
          await killProcess(identity);
          await removeGroupsOf(directory, context.mountInfo);
        },
      },
    }));
}
