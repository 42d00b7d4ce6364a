import type { Assets } from '../assets.ts';
import { type ProbeOptions, probeAccelerator } from '../vmm/probe/accelerator-probe.ts';
import { type Check, inspect } from './check.ts';

/** How much slower guests compute under emulation, measured over Python, Node and a compiler. */
const emulationFactor = '7 to 25';

/** Not having KVM is advice and no failure: everything works, slower. */
export function checkAccelerator(assets: Assets, options: ProbeOptions): Promise<Check> {
  return inspect('accelerator', false, async () => {
    const { accelerator, reason, qemuVersion } = await probeAccelerator(assets, options);
    const detail = `${accelerator} with QEMU ${qemuVersion}: ${reason}`;
    if (accelerator === 'kvm') return { ok: true, detail };
    return {
      ok: false,
      detail: `${detail}. Guests are emulated: all works, but computes ${emulationFactor} times slower`,
      remedy: remedyFor(reason),
    };
  });
}

function remedyFor(reason: string): string {
  return reason.startsWith('this user may not')
    ? 'let the user open it (adduser USER kvm, then log in again), or run the server as root'
    : 'use a machine with hardware virtualisation: bare metal, or a VM with nested virtualisation switched on';
}
