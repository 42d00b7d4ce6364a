import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Assets } from '../../assets.ts';
import { writeFileDurably } from '../../blobs/durable.ts';
import { describeOrigin, type QemuAccelerator } from '../qemu/machine.ts';
import { VmmError } from '../vmm.ts';
import { describeHost, findExecutable, hostArchitecture, qemuProgram } from './host.ts';
import { bootProbeGuest, type ProbeOutcome } from './probe-guest.ts';

export interface AcceleratorProbe {
  readonly accelerator: QemuAccelerator;
  /** Why this one, for a person: what a guest did under KVM, or why none could be tried. */
  readonly reason: string;
  readonly qemuVersion: string;
  /** Absolute path of qemu-system-… */
  readonly qemuPath: string;
}

export interface ProbeOptions {
  /** Remembers the outcome of the boot; made when absent, with its directory. Without it every probe boots. */
  readonly cacheFile?: string;
  /** How long a guest may take to boot under KVM, where one needs about a second. */
  readonly timeoutMs?: number;
  /** The QEMU to ask; looked up in PATH by default. */
  readonly qemuPath?: string;
  readonly kvmDevice?: string;
}

/** Where a server, and whoever examines it, remember the outcome. */
export function acceleratorCacheFile(dataDirectory: string): string {
  return path.join(dataDirectory, 'accelerator.json');
}

const remembered = z.object({
  key: z.string(),
  outcome: z.discriminatedUnion('booted', [
    z.object({ booted: z.literal(true) }),
    z.object({ booted: z.literal(false), reason: z.string() }),
  ]),
});

/**
 * Finds out what can run guests here. KVM counts only when a guest really boots with it: on some machines
 * /dev/kvm opens, makes VMs, and then cannot run a kernel.
 * @throws {VmmError} QEMU is missing, too old, or the processor is not supported
 */
export async function probeAccelerator(
  assets: Assets,
  { cacheFile, timeoutMs = 10_000, qemuPath, kvmDevice = '/dev/kvm' }: ProbeOptions = {},
): Promise<AcceleratorProbe> {
  const architecture = hostArchitecture();
  const binary = qemuPath ?? (await findExecutable(qemuProgram(architecture)));
  if (binary === undefined) throw new VmmError(`${qemuProgram(architecture)} is not installed`);
  const origin = await describeOrigin(assets, binary, architecture, 'kvm');
  const found = { qemuVersion: origin.vmmVersion, qemuPath: binary };

  const obstacle = await openingObstacle(kvmDevice);
  if (obstacle !== undefined) return { accelerator: 'tcg', reason: obstacle, ...found };

  const key = createHash('sha256')
    .update(JSON.stringify([origin, binary, await describeHost()]))
    .digest('hex');
  let outcome = cacheFile === undefined ? undefined : await recall(cacheFile, key);
  if (outcome === undefined) {
    outcome = await bootProbeGuest({ binary, architecture, accelerator: 'kvm', assets, timeoutMs });
    if (cacheFile !== undefined) await remember(cacheFile, key, outcome);
  }
  return outcome.booted
    ? { accelerator: 'kvm', reason: 'a guest booted under KVM', ...found }
    : { accelerator: 'tcg', reason: `no guest boots under KVM: ${outcome.reason}`, ...found };
}

/** Cheap to find and soon changed by a person, so never remembered. */
async function openingObstacle(device: string): Promise<string | undefined> {
  try {
    await access(device, constants.R_OK | constants.W_OK);
    return undefined;
  } catch (error) {
    const denied = error instanceof Error && 'code' in error && error.code === 'EACCES';
    return denied ? `this user may not open ${device}` : `there is no ${device}`;
  }
}

async function recall(file: string, key: string): Promise<ProbeOutcome | undefined> {
  try {
    const content = remembered.parse(JSON.parse(await readFile(file, 'utf8')));
    return content.key === key ? content.outcome : undefined;
  } catch {
    // Absent or damaged: a cache is made again.
    return undefined;
  }
}

async function remember(file: string, key: string, outcome: ProbeOutcome): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFileDurably(file, `${JSON.stringify({ key, outcome })}\n`);
}
