import { spawn } from 'node:child_process';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { VmmError, type VmmExit, type VmmUsage } from '../vmm.ts';
import { vmFiles } from './arguments.ts';

const pollMs = 3;
/** How long a VMM whose control connection ended may take to be gone by itself. */
const orphanGraceMs = 1_000;
const clockTicksPerSecond = 100;

/** A process that a recycled process id cannot be taken for. */
export const processIdentity = z.object({
  pid: z.number().int().min(2),
  /** Field 22 of /proc/PID/stat: clock ticks between boot and the process's start. */
  startTime: z.string(),
  bootId: z.string(),
});
export type ProcessIdentity = z.output<typeof processIdentity>;

/** Fields of /proc/PID/stat from the third (the state) on; undefined when there is no such process or only its zombie. */
async function statFields(pid: number): Promise<string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields === undefined || fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields;
}

async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}

export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const [fields, boot] = await Promise.all([statFields(pid), bootId()]);
  const startTime = fields?.[19];
  return startTime === undefined ? undefined : { pid, startTime, bootId: boot };
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  const now = await identify(identity.pid);
  return now !== undefined && now.startTime === identity.startTime && now.bootId === identity.bootId;
}

/** Ends exactly this process, if it still lives, and waits until it is gone. */
export async function killProcess(identity: ProcessIdentity): Promise<void> {
  for (;;) {
    if (!(await isAlive(identity))) return;
    try {
      process.kill(identity.pid, 'SIGKILL');
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return;
      throw error;
    }
    await delay(pollMs);
  }
}

/** The last line the VMM wrote, fit for a message. */
async function lastWords(directory: string): Promise<string> {
  try {
    const handle = await open(path.join(directory, vmFiles.log), 'r');
    try {
      const { size } = await handle.stat();
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(4096), 0, 4096, Math.max(0, size - 4096));
      const lines = buffer.toString('utf8', 0, bytesRead).trim().split('\n');
      return (lines.at(-1) ?? '').replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 300);
    } finally {
      await handle.close();
    }
  } catch {
    return '';
  }
}

async function describeExit(directory: string, how: string): Promise<VmmExit> {
  const words = await lastWords(directory);
  return { reason: words === '' ? how : `${how}: ${words}` };
}

/** A VMM process, our child or one left by an earlier server. */
export interface VmmProcess {
  readonly identity: ProcessIdentity;
  readonly exited: Promise<VmmExit>;
  /** Ends it at once; resolves when {@link exited} has. */
  kill(): Promise<void>;
}

/**
 * Starts a VMM in a session of its own with no terminal and an empty environment, so that it outlives us and
 * knows no secret of ours. Its output goes to the log in `directory`, which is its working directory.
 * @throws {VmmError} it could not be started
 */
export async function spawnVmm(
  binary: string,
  args: readonly string[],
  directory: string,
): Promise<VmmProcess> {
  const log = await open(path.join(directory, vmFiles.log), 'w', 0o600);
  try {
    const child = spawn(binary, args, {
      cwd: directory,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: {},
    });
    const ended = Promise.withResolvers<string>();
    child.once('exit', (code, signal) =>
      ended.resolve(signal === null ? `the VMM exited with code ${code}` : `the VMM was ended by ${signal}`),
    );
    const started = Promise.withResolvers<void>();
    child.once('spawn', started.resolve);
    child.once('error', started.reject);
    await started.promise.catch((error: unknown) => {
      throw new VmmError(`cannot start ${binary}`, { cause: error });
    });
    child.unref();
    const exited = ended.promise.then((how) => describeExit(directory, how));
    const identity = child.pid === undefined ? undefined : await identify(child.pid);
    if (identity === undefined) throw new VmmError((await exited).reason);
    const kill = async (): Promise<void> => {
      // An unreferenced child alone would let the event loop end before its exit is seen.
      child.ref();
      await killProcess(identity);
      await exited;
    };
    return { identity, exited, kill };
  } finally {
    await log.close();
  }
}

/**
 * Watches a process that is not our child. Its end is first seen as the end of its control connection.
 */
export function watchVmm(
  identity: ProcessIdentity,
  directory: string,
  disconnected: Promise<void>,
): VmmProcess {
  const exited = disconnected
    .then(() => waitUntilGone(identity))
    .then(() => describeExit(directory, 'the VMM is gone'));
  const kill = async (): Promise<void> => {
    await killProcess(identity);
    await disconnected;
    await exited;
  };
  return { identity, exited, kill };
}

async function waitUntilGone(identity: ProcessIdentity): Promise<void> {
  while (await isAlive(identity)) await delay(pollMs);
}

/** A VMM that nothing can control any more is of no use to anybody: it is ended after a short grace. */
export async function endWhenDisconnected(vmm: VmmProcess, disconnected: Promise<void>): Promise<void> {
  await disconnected;
  const timer = new AbortController();
  await Promise.race([
    vmm.exited,
    delay(orphanGraceMs, undefined, { signal: timer.signal, ref: false }),
  ]).catch(() => undefined);
  timer.abort();
  await vmm.kill();
}

export async function processUsage(identity: ProcessIdentity): Promise<VmmUsage> {
  const [rollup, fields] = await Promise.all([
    readFile(`/proc/${identity.pid}/smaps_rollup`, 'latin1').catch(() => ''),
    statFields(identity.pid),
  ]);
  if (fields === undefined || rollup === '') throw new VmmError('the VMM is gone');
  const bytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0) * 1024;
  return {
    residentBytes: bytes('Rss'),
    proportionalBytes: bytes('Pss'),
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / clockTicksPerSecond,
  };
}

const shape = z.object({ memoryMib: z.number().int().positive(), vcpus: z.number().int().positive() });

const processRecord = z.object({
  formatVersion: z.literal(1),
  /** Absent from before the process is started until its identity is known. */
  identity: processIdentity.optional(),
  source: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('boot'), rootDisk: z.string(), shape }),
    z.object({ kind: z.literal('snapshot'), directory: z.string(), id: z.string() }),
  ]),
});
export type ProcessRecord = z.output<typeof processRecord>;

/** Atomic but not flushed: after a crash of the host no process is left to find. */
export async function writeProcessRecord(directory: string, record: ProcessRecord): Promise<void> {
  const file = path.join(directory, vmFiles.process);
  await writeFile(`${file}.tmp`, JSON.stringify(record), { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}

/** The record of the VMM last started in `directory`; undefined when there is none or it makes no sense. */
export async function readProcessRecord(directory: string): Promise<ProcessRecord | undefined> {
  let text: string;
  try {
    text = await readFile(path.join(directory, vmFiles.process), 'utf8');
  } catch (error) {
    // A record that cannot be read now is not one that is not there: its process lives, and holds a VM.
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return processRecord.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
