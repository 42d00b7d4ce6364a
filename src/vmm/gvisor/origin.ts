import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { protocolVersion } from '../../model/agent-protocol.ts';
import { sha256File } from '../qemu/machine.ts';
import { type Architecture, SnapshotIncompatibleError, type SnapshotOrigin, VmmError } from '../vmm.ts';

const run = promisify(execFile);

/** Number of the arrangement of mounts and descriptors that a sandbox is given. */
const layout = 1;

/**
 * What a snapshot of this runsc is made with. A checkpoint is its kernel's own structures: it is bound to the exact
 * program, and to a processor that offers what the programs in it may have found there.
 * @throws {VmmError} runsc cannot be run
 */
export async function describeOrigin(
  binary: string,
  agent: string,
  architecture: Architecture,
): Promise<SnapshotOrigin> {
  const [version, kernelDigest, initrdDigest, cpuModel] = await Promise.all([
    versionOf(binary),
    sha256File(binary),
    sha256File(agent),
    processorFeatures(),
  ]);
  return {
    vmm: 'gvisor',
    vmmVersion: version,
    accelerator: 'systrap',
    architecture,
    machineType: 'sandbox',
    cpuModel,
    kernelDigest,
    initrdDigest,
    agentProtocol: protocolVersion,
    deviceLayout: layout,
  };
}

async function versionOf(binary: string): Promise<string> {
  const { stdout } = await run(binary, ['--version'], { env: {}, timeout: 20_000 }).catch(
    (error: unknown) => {
      throw new VmmError(`${binary} cannot be run`, { cause: error });
    },
  );
  return /version (\S+)/.exec(stdout)?.[1] ?? 'unknown';
}

async function processorFeatures(): Promise<string> {
  const text = await readFile('/proc/cpuinfo', 'utf8');
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(text)?.[1] ?? '';
  return `features-${createHash('sha256').update(flags.split(' ').sort().join(' ')).digest('hex').slice(0, 16)}`;
}

const bound: Readonly<Partial<Record<keyof SnapshotOrigin, string>>> = {
  vmm: 'VMM',
  kernelDigest: 'build of runsc',
  architecture: 'architecture',
  cpuModel: 'set of processor features',
  agentProtocol: 'version of the agent protocol',
  deviceLayout: 'arrangement of the sandbox',
};

/** @throws {SnapshotIncompatibleError} naming each thing that keeps the snapshot from being restored */
export function assertRestorable(snapshot: SnapshotOrigin, here: SnapshotOrigin): void {
  const reasons = (Object.keys(bound) as (keyof SnapshotOrigin)[])
    .filter((key) => snapshot[key] !== here[key])
    .map((key) => `another ${bound[key]}: ${snapshot[key]} (here ${here[key]})`);
  if (reasons.length > 0) {
    throw new SnapshotIncompatibleError(`the snapshot was made with ${reasons.join(', ')}`);
  }
}
