import type { Assets } from '../assets.ts';
import { findExecutable, hostArchitecture, qemuProgram } from '../vmm/probe/host.ts';
import { Confinement } from '../vmm/qemu/confinement.ts';
import { type Check, inspect, setupRemedy } from './check.ts';

const levels = {
  'own-user': 'a user, a file system and a network of its own for each microVM',
  namespace: "a file system and a network of its own for each microVM, as the server's user",
  filter: 'a filter of system calls for each microVM',
} as const;

/** How far the processes of microVMs are kept from this machine, found out by confining QEMU. */
export function checkConfinement(assets: Assets, qemu?: string): Promise<Check> {
  return inspect('confinement', false, async () => {
    const binary = qemu ?? (await findExecutable(qemuProgram(hostArchitecture())));
    if (binary === undefined) return { ok: false, detail: 'QEMU is not installed', remedy: setupRemedy };
    const found = await Confinement.find({ jail: assets.vmmJail, binary, groupName: 'dormouse-doctor' });
    const detail = `${levels[found.level]}; control groups: ${found.groups.description || 'none'}`;
    if (found.weaknesses.length === 0) return { ok: true, detail };
    return {
      ok: false,
      detail: `${detail}; ${found.weaknesses.join('; ')}`,
      remedy: 'run the server as root of the machine, or of a container that may mount; see docs/security.md',
    };
  });
}
