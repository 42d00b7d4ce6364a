import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { step } from '../../telemetry/trace.ts';
import { pumpConsole } from '../qemu/console-log.ts';
import { identify, isAlive, killProcess, type ProcessIdentity, processIdentity } from '../qemu/process.ts';
import { VmmError, type VmmExit } from '../vmm.ts';
import { type ChannelEnds, makeChannel, openConsole } from './channel.ts';
import type { SandboxGroups } from './groups.ts';
import { globalOptions, type RunscOptions, sandboxId } from './runsc.ts';
import { readSandboxState } from './sandbox-noted.ts';
import { sandboxFiles } from './vm-files.ts';

/** Where {@link pumpConsole} keeps what is said. */
const consoleLog = 'console.log';
const startTimeoutMs = 120_000;
const pollMs = 3;
const wordsBytes = 4_096;

const shape = z.object({ memoryMib: z.number().int().positive(), vcpus: z.number().int().positive() });

const sandboxRecord = z.object({
  formatVersion: z.literal(1),
  /** Of its kernel and of what serves files to it; absent from before it is started until they are known. */
  processes: z.array(processIdentity).min(1).optional(),
  source: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('boot'), root: z.string(), shape }),
    z.object({ kind: z.literal('snapshot'), directory: z.string(), id: z.string() }),
  ]),
});
export type SandboxRecord = z.output<typeof sandboxRecord>;
export type SandboxSource = SandboxRecord['source'];

/** A sandbox that runs, of this server or an earlier one. */
export interface SandboxProcess {
  readonly source: SandboxSource;
  /** The process that is its kernel. */
  readonly kernel: ProcessIdentity;
  /** Settles when it is gone, whoever ended it; never rejects. */
  readonly exited: Promise<VmmExit>;
  kill(): Promise<void>;
}

export interface SandboxStart {
  readonly options: RunscOptions;
  readonly groups: SandboxGroups;
  readonly directory: string;
  readonly bundle: string;
  readonly source: SandboxSource;
  /** Directory of the checkpoint it goes on from; undefined starts it anew. */
  readonly image: string | undefined;
}

/** Starts a sandbox; on failure nothing of it is left. @throws {VmmError} with the last words of runsc */
export async function startSandbox(start: SandboxStart): Promise<SandboxProcess> {
  const { options, directory, source, groups } = start;
  await mkdir(path.join(directory, sandboxFiles.state), { recursive: true, mode: 0o700 });
  const [ends] = await Promise.all([
    makeChannel(directory),
    rm(path.join(directory, consoleLog), { force: true }),
    writeRecord(directory, { formatVersion: 1, source }),
  ]);
  const console = await openConsole(directory);
  const ended = pumpConsole(console, directory);
  try {
    await step('sandbox started', () => runDetached(start, ends));
    const state = await readSandboxState(directory, sandboxId(directory));
    const pids = [state.pid, ...(state.goferPid === undefined ? [] : [state.goferPid])];
    const found = (await Promise.all(pids.map(identify))).filter((identity) => identity !== undefined);
    const [kernel] = found;
    if (kernel?.pid !== state.pid) throw new VmmError('the sandbox has ended');
    await writeRecord(directory, { formatVersion: 1, processes: found, source });
    await ends.close();
    return watch({ directory, source, groups, found, kernel, console, ended });
  } catch (error) {
    await ends.close();
    await endStrays(options.binary, directory, groups);
    await ended;
    const reason = (await lastWords(directory)) || (error instanceof Error ? error.message : String(error));
    throw new VmmError(`the sandbox did not start: ${reason}`, { cause: error });
  }
}

async function runDetached(
  { options, directory, bundle, image }: SandboxStart,
  ends: ChannelEnds,
): Promise<void> {
  const command = image === undefined ? ['run'] : ['restore', '--image-path', image];
  const args = [...command, '--detach', '--bundle', bundle, sandboxId(directory)];
  const child = spawn(options.binary, [...globalOptions(options, directory), ...args], {
    cwd: directory,
    detached: true,
    env: {},
    stdio: [ends.input, ends.output, ends.console],
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => child.kill('SIGKILL'), startTimeoutMs);
  child.once('error', reject);
  child.once('exit', (code, signal) => {
    const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`;
    if (code === 0) resolve();
    else reject(new VmmError(`runsc ${how}`));
  });
  await promise.finally(() => clearTimeout(timer));
}

interface Watched {
  readonly directory: string;
  readonly source: SandboxSource;
  readonly groups: SandboxGroups;
  readonly found: readonly ProcessIdentity[];
  readonly kernel: ProcessIdentity;
  readonly console: Socket;
  /** Settles when nobody is left who could say anything. */
  readonly ended: Promise<void>;
}

function watch({ directory, source, groups, found, kernel, console, ended }: Watched): SandboxProcess {
  const gone = async (): Promise<void> => {
    for (const identity of found) while (await isAlive(identity)) await delay(pollMs);
  };
  const exited = ended.then(async (): Promise<VmmExit> => {
    await gone();
    const words = await lastWords(directory);
    return { reason: words === '' ? 'the sandbox exited' : `the sandbox exited: ${words}` };
  });
  const kill = async (): Promise<void> => {
    // Alone it would let the event loop end before the sandbox's end is seen.
    console.ref();
    for (const identity of found) await killProcess(identity);
    await exited;
    await forget(directory, groups);
  };
  return { source, kernel, exited, kill };
}

/** The sandbox is gone, which is what counts: what cannot be removed now, the next start or the VM's end does. */
async function forget(directory: string, groups: SandboxGroups): Promise<void> {
  const id = sandboxId(directory);
  const { process, state, toGuest, fromGuest, console } = sandboxFiles;
  const names = [process, state, toGuest, fromGuest, console];
  await Promise.allSettled([
    ...names.map((name) => rm(path.join(directory, name), { recursive: true, force: true })),
    // Where runsc puts its socket when the path of its directory is too long for one.
    ...['/var/run', '/run', '/tmp'].map((room) => rm(path.join(room, `runsc-${id}.sock`), { force: true })),
    groups.remove(directory),
  ]);
}

/** Takes over the sandbox recorded in `directory`, if it lives. */
export async function reconnectSandbox(
  directory: string,
  groups: SandboxGroups,
): Promise<SandboxProcess | undefined> {
  const record = await readRecord(directory);
  const [kernel] = record?.processes ?? [];
  if (record?.processes === undefined || kernel === undefined || !(await isAlive(kernel))) return undefined;
  try {
    const console = await openConsole(directory);
    const ended = pumpConsole(console, directory);
    return watch({
      directory,
      source: record.source,
      groups,
      found: record.processes,
      kernel,
      console,
      ended,
    });
  } catch (error) {
    // One that cannot be watched is of no use; a shortage on our side must not cost a running VM.
    if (error instanceof VmmError || (await isAlive(kernel)) === false) return undefined;
    throw error;
  }
}

/** Ends whatever sandbox still runs in `directory`, also one whose server died before recording it. */
export async function endSandbox(binary: string, directory: string, groups: SandboxGroups): Promise<void> {
  const record = await readRecord(directory);
  if (record === undefined) return;
  if (record.processes === undefined) {
    await endStrays(binary, directory, groups);
    return;
  }
  for (const identity of record.processes) await killProcess(identity);
  await forget(directory, groups);
}

/** Ends every process of runsc that is about this directory. */
async function endStrays(binary: string, directory: string, groups: SandboxGroups): Promise<void> {
  const state = path.join(directory, sandboxFiles.state);
  const wanted = new Set([`--root=${state}`, state]);
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const argv = (await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (!isRunsc(argv[0], binary) || !argv.some((word) => wanted.has(word))) continue;
    const stray = await identify(Number(entry));
    if (stray !== undefined) await killProcess(stray);
  }
  await forget(directory, groups);
}

function isRunsc(program: string | undefined, binary: string): boolean {
  return program === binary || program === 'runsc-sandbox' || program === 'runsc-gofer';
}

/** Atomic but not flushed: after a crash of the host no process is left to find. */
async function writeRecord(directory: string, record: SandboxRecord): Promise<void> {
  const file = path.join(directory, sandboxFiles.process);
  await writeFile(`${file}.tmp`, JSON.stringify(record), { mode: 0o600 });
  await rename(`${file}.tmp`, file);
}

/** Undefined when there is none or it makes no sense. */
export async function readRecord(directory: string): Promise<SandboxRecord | undefined> {
  const text = await readFile(path.join(directory, sandboxFiles.process), 'utf8').catch(
    (error: NodeJS.ErrnoException) => {
      // One that cannot be read now is not one that is not there: its sandbox lives, and holds a VM.
      if (error.code === 'ENOENT') return undefined;
      throw error;
    },
  );
  if (text === undefined) return undefined;
  try {
    return sandboxRecord.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** The last line that runsc or the sandbox wrote, fit for a message. */
async function lastWords(directory: string): Promise<string> {
  const text = await readFile(path.join(directory, consoleLog), 'utf8').catch(() => '');
  const line = text.slice(-wordsBytes).trim().split('\n').at(-1) ?? '';
  return line.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 300);
}
