import { readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import { VmmError } from '../vmm.ts';
import { allDone } from './all-done.ts';
import { vmFiles, vmSockets } from './arguments.ts';
import type { Cell, Confinement } from './confinement.ts';
import { pumpConsole } from './console-log.ts';
import {
  endWhenDisconnected,
  identify,
  isAlive,
  killProcess,
  type ProcessRecord,
  readProcessRecord,
  spawnVmm,
  type VmmProcess,
  watchVmm,
  writeProcessRecord,
} from './process.ts';
import { isRecord, QmpClient, QmpError } from './qmp.ts';
import { connectUnix, connectUnixWhenReady, refusesConnections } from './unix-socket.ts';

const startTimeoutMs = 30_000;

/** Run states of a VM that is whole: its virtual CPUs run or could. */
const adoptableStates: ReadonlySet<unknown> = new Set(['running', 'paused', 'prelaunch', 'suspended']);

/** A VMM process and its control connection. */
export interface ControlledVmm {
  readonly process: VmmProcess;
  readonly qmp: QmpClient;
}

async function connectConsole(directory: string): Promise<void> {
  pumpConsole(await connectUnix(path.join(directory, vmFiles.console)), directory);
}

async function removeSockets(directory: string): Promise<void> {
  await Promise.all(vmSockets.map((name) => rm(path.join(directory, name), { force: true })));
}

export interface StartRequest {
  readonly confinement: Confinement;
  readonly binary: string;
  readonly args: readonly string[];
  readonly cell: Omit<Cell, 'sockets'>;
  readonly source: ProcessRecord['source'];
}

/** Starts QEMU, confined, and connects to it; on failure the process is gone. */
export async function startVmm(request: StartRequest): Promise<ControlledVmm> {
  const { confinement, source } = request;
  const { directory } = request.cell;
  const cell = { ...request.cell, sockets: vmSockets };
  const [program, args] = confinement.command(request.binary, request.args, cell);
  await allDone([removeSockets(directory), writeProcessRecord(directory, { formatVersion: 1, source })]);
  const vmm = await spawnVmm(program, args, directory);
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(new VmmError('QEMU does not start')), startTimeoutMs);
  vmm.exited.then(({ reason }) => abort.abort(new VmmError(reason)));
  try {
    const [qmp] = await allDone([
      connectUnixWhenReady(path.join(directory, vmFiles.control), abort.signal).then((socket) =>
        QmpClient.open(socket, startTimeoutMs),
      ),
      // A process without a recorded identity is not adopted, so none goes on without its limits.
      confinement
        .enclose(vmm.identity.pid, cell)
        .then(() => writeProcessRecord(directory, { formatVersion: 1, identity: vmm.identity, source })),
    ]);
    await connectConsole(directory);
    endWhenDisconnected(vmm, qmp.closed);
    return { process: vmm, qmp };
  } catch (error) {
    await vmm.kill();
    const { reason } = await vmm.exited;
    await confinement.groups.remove(directory);
    // A QEMU that ends while starting says why in its log; the connection may only say that it ended.
    throw new VmmError(`QEMU did not start: ${reason}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** Ends whatever VMM still runs in `directory`, also one whose server died before recording it. */
export async function endLeftovers(
  { program, groups }: Pick<Confinement, 'program' | 'groups'>,
  binary: string,
  directory: string,
): Promise<void> {
  const record = await readProcessRecord(directory);
  if (record === undefined) return;
  if (record.identity === undefined) await killProcessesOf([program, binary], directory);
  else await killProcess(record.identity);
  await groups.remove(directory);
  // The process is gone, which is what counts: whoever asked for that may have given up the VM that it was.
  await rm(path.join(directory, vmFiles.process), { force: true }).catch(() => undefined);
}

/** Ends what runs one of the programs in the directory, or is on its way there: changing its root it is nowhere. */
async function killProcessesOf(programs: readonly string[], directory: string): Promise<void> {
  const [executables, home, entries] = await Promise.all([
    Promise.all(programs.map((program) => realpath(program))),
    realpath(directory),
    readdir('/proc'),
  ]);
  for (const entry of entries) {
    if (!/^\d+$/.test(entry)) continue;
    const [cwd, exe, argv] = await Promise.all([
      ...['cwd', 'exe'].map((name) => readlink(`/proc/${entry}/${name}`).catch(() => undefined)),
      readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => ''),
    ]);
    if (exe === undefined || !executables.includes(exe)) continue;
    if (cwd !== home && argv?.split('\0').includes(directory) !== true) continue;
    const stray = await identify(Number(entry));
    if (stray !== undefined) await killProcess(stray);
  }
}

/** Connects to the VMM recorded in `directory` if it lives and holds a whole VM. */
export async function reconnectVmm(
  directory: string,
): Promise<(ControlledVmm & { source: ProcessRecord['source'] }) | undefined> {
  const record = await readProcessRecord(directory);
  if (record?.identity === undefined || !(await isAlive(record.identity))) return undefined;
  let qmp: QmpClient | undefined;
  try {
    const socket = await connectUnix(path.join(directory, vmFiles.control));
    qmp = await QmpClient.open(socket, startTimeoutMs);
    const status = await qmp.execute('query-status', undefined, startTimeoutMs);
    if (!isRecord(status) || !adoptableStates.has(status.status)) {
      qmp.close();
      return undefined;
    }
    await connectConsole(directory);
  } catch (error) {
    qmp?.close();
    // A VMM that cannot be talked to is given up; a shortage on our side must not cost a running VM.
    if (error instanceof QmpError || refusesConnections(error)) return undefined;
    throw error;
  }
  const process = watchVmm(record.identity, directory, qmp.closed);
  endWhenDisconnected(process, qmp.closed);
  return { process, qmp, source: record.source };
}
