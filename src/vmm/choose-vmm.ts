import type { Assets } from '../assets.ts';
import type { Config } from '../config.ts';
import { acceleratorCacheFile, probeAccelerator } from './probe/accelerator-probe.ts';
import { findExecutable, hostArchitecture, qemuProgram } from './probe/host.ts';
import type { QemuAccelerator } from './qemu/machine.ts';
import { createQemuVmm } from './qemu/qemu-vmm.ts';
import { type Vmm, VmmError } from './vmm.ts';

export interface ChosenVmm {
  readonly vmm: Vmm;
  readonly accelerator: QemuAccelerator;
  /** Why this accelerator, for a person. */
  readonly reason: string;
}

/**
 * The VMM this machine can run. `auto` finds out by booting a guest, once for each machine and QEMU.
 * @throws {VmmError} QEMU is missing, too old, or the processor is not supported
 */
export async function chooseVmm(wanted: Config['accelerator'], assets: Assets): Promise<ChosenVmm> {
  const architecture = hostArchitecture();
  const found =
    wanted === 'auto'
      ? await probeAccelerator(assets, { cacheFile: acceleratorCacheFile(assets.directory) })
      : { accelerator: wanted, reason: 'as configured', qemuPath: await qemuPath() };
  const { accelerator, reason, qemuPath: binary } = found;
  return { vmm: await createQemuVmm({ assets, accelerator, binary, architecture }), accelerator, reason };
}

async function qemuPath(): Promise<string> {
  const program = qemuProgram(hostArchitecture());
  const found = await findExecutable(program);
  if (found === undefined) throw new VmmError(`${program} is not installed`);
  return found;
}
