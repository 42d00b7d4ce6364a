import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import type { Assets } from '../../assets.ts';
import { protocolVersion } from '../../model/agent-protocol.ts';
import { type Architecture, type SnapshotOrigin, VmmError } from '../vmm.ts';

const run = promisify(execFile);

/** Oldest major version whose emulation and migration stream are right for us; older ones corrupt guests under TCG. */
const oldestMajorVersion = 10;

interface Machine {
  /** Versioned, so that a newer QEMU still offers the same hardware. */
  readonly type: string;
  readonly options: string;
  readonly cpu: string;
  readonly console: string;
  /** The VM generation id device exists on PCs only; elsewhere the agent alone reseeds the guest. */
  readonly generationId: boolean;
}

export type QemuAccelerator = 'kvm' | 'tcg';

/**
 * CPU models are named and never `max`, so that a snapshot means the same on every host. Without ARAT the guest
 * takes the APIC timer for unreliable and ticks 250 times a second while idle.
 */
const machines: Readonly<Record<Architecture, Readonly<Record<QemuAccelerator, Machine>>>> = {
  x86_64: {
    tcg: { type: 'pc-q35-10.0', options: '', cpu: 'Nehalem,+arat', console: 'ttyS0', generationId: true },
    kvm: {
      type: 'pc-q35-10.0',
      options: '',
      cpu: 'Westmere,+arat,+tsc-deadline',
      console: 'ttyS0',
      generationId: true,
    },
  },
  arm64: {
    tcg: {
      type: 'virt-10.0',
      options: ',gic-version=3',
      cpu: 'cortex-a57',
      console: 'ttyAMA0',
      generationId: false,
    },
    // KVM on arm64 offers no model but the host's own.
    kvm: {
      type: 'virt-10.0',
      options: ',gic-version=host',
      cpu: 'host',
      console: 'ttyAMA0',
      generationId: false,
    },
  },
};

/** Counts the changes of `qemuArguments` after which what was stored before cannot be loaded any more. */
export const deviceLayout = 1;

export function machineFor(architecture: Architecture, accelerator: QemuAccelerator): Machine {
  return machines[architecture][accelerator];
}

async function qemuVersion(binary: string): Promise<string> {
  const { stdout } = await run(binary, ['--version'], { timeout: 20_000 }).catch((error: unknown) => {
    throw new VmmError(`cannot run ${binary}`, { cause: error });
  });
  const version = /version (\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (version === null) throw new VmmError(`${binary} does not say its version`);
  const text = version.slice(1).join('.');
  if (Number(version[1]) < oldestMajorVersion) {
    throw new VmmError(`QEMU ${text} is too old: version ${oldestMajorVersion} or newer is needed`);
  }
  return text;
}

export async function sha256File(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}

/** What every snapshot made with these assets on this machine depends on. */
export async function describeOrigin(
  assets: Assets,
  binary: string,
  architecture: Architecture,
  accelerator: QemuAccelerator,
): Promise<SnapshotOrigin> {
  const machine = machineFor(architecture, accelerator);
  const [vmmVersion, kernelDigest, initrdDigest] = await Promise.all([
    qemuVersion(binary),
    sha256File(assets.kernel),
    sha256File(assets.initrd),
  ]);
  return {
    vmm: 'qemu',
    vmmVersion,
    accelerator,
    architecture,
    machineType: machine.type,
    cpuModel: machine.cpu,
    kernelDigest,
    initrdDigest,
    agentProtocol: protocolVersion,
    deviceLayout,
  };
}
