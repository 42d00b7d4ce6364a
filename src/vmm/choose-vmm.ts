import { createHash } from 'node:crypto';
import path from 'node:path';
import type { Assets } from '../assets.ts';
import type { Config } from '../config.ts';
import { acceleratorCacheFile, probeAccelerator } from './probe/accelerator-probe.ts';
import { findExecutable, hostArchitecture, qemuProgram } from './probe/host.ts';
import { Confinement } from './qemu/confinement.ts';
import type { QemuAccelerator } from './qemu/machine.ts';
import { createQemuVmm } from './qemu/qemu-vmm.ts';
import { type Vmm, VmmError } from './vmm.ts';

export interface ChosenVmm {
  readonly vmm: Vmm;
  readonly accelerator: QemuAccelerator;
  /** Why this accelerator, for a person. */
  readonly reason: string;
  readonly confinement: Confinement;
}

export interface VmmPlacement {
  /** A VMM runs as the user of this number plus its process id, where VMMs have users of their own. */
  readonly userBase?: number | undefined;
  /** Control groups of VMMs of one data directory are together. */
  readonly dataDirectory: string;
}

/** Name of the control group that holds those of all VMMs of a server. */
export function controlGroupName(dataDirectory: string): string {
  const digest = createHash('sha256').update(path.resolve(dataDirectory)).digest('hex');
  return `dormouse-${digest.slice(0, 12)}`;
}

/**
 * The VMM this machine can run. `auto` finds out by booting a guest, once for each machine and QEMU.
 * @throws {VmmError} QEMU is missing, too old, or the processor is not supported
 */
export async function chooseVmm(
  wanted: Config['accelerator'],
  assets: Assets,
  placement: VmmPlacement = { dataDirectory: assets.directory },
): Promise<ChosenVmm> {
  const architecture = hostArchitecture();
  const found =
    wanted === 'auto'
      ? await probeAccelerator(assets, { cacheFile: acceleratorCacheFile(assets.directory) })
      : { accelerator: wanted, reason: 'as configured', qemuPath: await qemuPath() };
  const { accelerator, reason, qemuPath: binary } = found;
  const confinement = await Confinement.find({
    jail: assets.vmmJail,
    binary,
    userBase: placement.userBase,
    groupName: controlGroupName(placement.dataDirectory),
  });
  const vmm = await createQemuVmm({ assets, accelerator, binary, architecture, confinement });
  return { vmm, accelerator, reason, confinement };
}

async function qemuPath(): Promise<string> {
  const program = qemuProgram(hostArchitecture());
  const found = await findExecutable(program);
  if (found === undefined) throw new VmmError(`${program} is not installed`);
  return found;
}
