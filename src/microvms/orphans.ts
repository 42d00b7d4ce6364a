import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Vmm } from '../vmm/vmm.ts';

/**
 * Removes directories that no live VM owns, and their processes: of VMs terminated while the server was being killed.
 * @param options.directory holds one directory per VM
 */
export async function removeOrphans(
  options: { readonly directory: string; readonly vmm: Vmm; readonly logger: Logger },
  owned: ReadonlySet<string>,
): Promise<void> {
  for (const name of await readdir(options.directory)) {
    if (owned.has(name)) continue;
    const directory = path.join(options.directory, name);
    await (await options.vmm.adopt(directory))?.kill();
    await rm(directory, { recursive: true, force: true });
    options.logger.info({ directory }, 'removed what belonged to no microVM');
  }
}
