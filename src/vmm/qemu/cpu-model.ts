import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Architecture } from '../vmm.ts';
import { machineFor, type QemuAccelerator } from './machine.ts';

/**
 * The whole of x86-64-v3 and what its processors share besides: software built for AVX2 runs, on either vendor. Without
 * what helps 16-bit software, which some hosts under a hypervisor lack.
 */
const thirdLevel =
  'Westmere,-vme,+arat,+tsc-deadline,+avx,+avx2,+bmi1,+bmi2,+f16c,+fma,+abm,+movbe,+xsave,+xsaveopt,+rdrand,+fsgsbase,+smep';

const timeoutMs = 10_000;

/**
 * The CPU model that guests get here: the richest of the known ones that this host can give under KVM, one for all
 * machines without it. Models are named and never `host`, so that a snapshot means the same wherever it is restored.
 */
export async function cpuModelFor(
  binary: string,
  architecture: Architecture,
  accelerator: QemuAccelerator,
): Promise<string> {
  const { cpu, type } = machineFor(architecture, accelerator);
  if (architecture !== 'x86_64' || accelerator !== 'kvm') return cpu;
  return (await isOffered(binary, type, thirdLevel)) ? thirdLevel : cpu;
}

/** Whether a machine with every feature of `model` can be made; without `enforce` QEMU leaves out what is missing. */
async function isOffered(binary: string, machineType: string, model: string): Promise<boolean> {
  const child = spawn(
    binary,
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-S', '-m', '16M', '-monitor', 'stdio'],
      ...['-M', machineType, '-accel', 'kvm', '-cpu', `${model},enforce`],
    ],
    { stdio: ['pipe', 'ignore', 'ignore'], env: {}, timeout: timeoutMs, killSignal: 'SIGKILL' },
  );
  child.stdin.on('error', () => undefined);
  child.stdin.end('quit\n');
  try {
    const [code] = await once(child, 'exit');
    return code === 0;
  } catch {
    return false;
  }
}
