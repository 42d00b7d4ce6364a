import { constants } from 'node:fs';
import { chmod, copyFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import type { Assets } from '../../assets.ts';
import { step } from '../../telemetry/trace.ts';
import {
  type DifferenceStats,
  type SnapshotManifest,
  type SnapshotOrigin,
  VmmError,
  type VmmExit,
  type VmmInstance,
  type VmmUsage,
} from '../vmm.ts';
import { allDone } from './all-done.ts';
import { vmFiles, vmSockets } from './arguments.ts';
import type { ControlGroups } from './control-groups.ts';
import {
  consumeDifference,
  copyDifference,
  readDifference,
  removeDifferenceRemains,
  restoreDifference,
  storeDifference,
} from './difference.ts';
import { type ProcessRecord, processUsage, type VmmProcess } from './process.ts';
import { type QmpClient, QmpRefusedError } from './qmp.ts';
import type { SnapshotChecks } from './snapshot-checks.ts';
import { checkFiles, publicManifest, snapshotPath, storeSnapshot } from './snapshot-files.ts';
import { connectUnix } from './unix-socket.ts';

const migrationTimeoutMs = 120_000;
/** Some hundred times what a machine with our devices stores. */
const largestDeviceState = 64 * 1024 ** 2;
/** Empty overlay made with the build VM's own; becomes the snapshot's template. */
export const overlayTemplate = 'overlay.qcow2';

export interface InstanceContext {
  readonly assets: Assets;
  readonly origin: SnapshotOrigin;
  readonly groups: ControlGroups;
  readonly checks: SnapshotChecks;
}

/** Loads a migration stream into a VMM started with `-incoming defer`; its virtual CPUs stay stopped. */
export async function loadState(qmp: QmpClient, file: string, ignoreShared: boolean): Promise<void> {
  await step('device state loaded', () => migrate(qmp, 'migrate-incoming', file, ignoreShared));
}

async function migrate(
  qmp: QmpClient,
  command: 'migrate' | 'migrate-incoming',
  file: string,
  ignoreShared: boolean,
): Promise<void> {
  await qmp.execute('migrate-set-capabilities', {
    capabilities: [
      { capability: 'events', state: true },
      { capability: 'x-ignore-shared', state: ignoreShared },
    ],
  });
  const over = qmp.waitFor(
    ({ name, data }) => name === 'MIGRATION' && (data.status === 'completed' || data.status === 'failed'),
    migrationTimeoutMs,
  );
  // Whichever fails first is reported; the other must not be left unhandled.
  over.catch(() => undefined);
  // Not `uri`, where characters of a path can have a meaning.
  const channel = { 'channel-type': 'main', addr: { transport: 'file', filename: file, offset: 0 } };
  await qmp.execute(command, { channels: [channel] });
  if ((await over).data.status === 'failed') throw new VmmError(`QEMU cannot ${command} ${file}`);
}

/** The overlay must be complete before a VMM uses it; its holes and, where possible, its blocks are shared. */
export async function copyOverlay(source: string, directory: string): Promise<void> {
  const disk = path.join(directory, vmFiles.disk);
  await copyFile(source, disk, constants.COPYFILE_FICLONE);
  await chmod(disk, 0o600);
}

export class QemuInstance implements VmmInstance {
  readonly pid: number;
  readonly directory: string;
  readonly exited: Promise<VmmExit>;
  readonly #context: InstanceContext;
  readonly #process: VmmProcess;
  readonly #qmp: QmpClient;
  readonly #source: ProcessRecord['source'];
  /** Whether the directory may hold a difference, which must be consumed before the virtual CPUs start. */
  #mayBeStored: boolean;
  /** Removal of what the last resume left. */
  #cleared: Promise<void> = Promise.resolve();

  constructor(
    context: InstanceContext,
    directory: string,
    process: VmmProcess,
    qmp: QmpClient,
    source: ProcessRecord['source'],
    mayBeStored: boolean,
  ) {
    this.#mayBeStored = mayBeStored;
    this.pid = process.identity.pid;
    this.directory = directory;
    this.exited = process.exited;
    this.#context = context;
    this.#process = process;
    this.#qmp = qmp;
    this.#source = source;
    void this.exited.then(() => context.groups.remove(directory));
  }

  async connectAgent(): Promise<Duplex> {
    return await connectUnix(path.join(this.directory, vmFiles.agent));
  }

  async pause(): Promise<void> {
    await this.#qmp.execute('stop');
  }

  async unpause(): Promise<void> {
    await this.#cleared;
    // A process that has died meanwhile must be noticed while the difference still stands.
    await this.#qmp.execute('query-status');
    const consumed = this.#mayBeStored && (await consumeDifference(this.directory));
    try {
      await this.#qmp.execute('cont');
    } catch (error) {
      if (consumed && error instanceof QmpRefusedError) await restoreDifference(this.directory);
      throw error;
    }
    this.#mayBeStored = false;
    // Not worth waiting for now. What cannot be removed is cleared by the next suspend or with the VM.
    this.#cleared = removeDifferenceRemains(this.directory).catch(() => undefined);
  }

  async snapshot(target: string): Promise<SnapshotManifest> {
    const source = this.#source;
    if (source.kind !== 'boot') throw new VmmError('only a VM that was booted can become a snapshot');
    try {
      await this.pause();
      await migrate(this.#qmp, 'migrate', vmFiles.deviceState, true);
    } finally {
      await this.kill();
    }
    const at = (name: string): string => path.join(this.directory, name);
    const { assets, origin, checks } = this.#context;
    const manifest = await storeSnapshot(
      target,
      {
        memory: at(vmFiles.memory),
        deviceState: at(vmFiles.deviceState),
        disk: at(vmFiles.disk),
        overlay: at(overlayTemplate),
        root: source.rootDisk,
      },
      { origin, shape: source.shape },
      assets.memoryDifference,
    );
    checks.trust(await checkFiles(target, manifest, 'launch'));
    return publicManifest(manifest);
  }

  async suspend({ keepProcess = false } = {}): Promise<DifferenceStats> {
    const source = this.#source;
    if (source.kind !== 'snapshot')
      throw new VmmError('a VM that was booted cannot be suspended, only become a snapshot');
    await step('virtual CPUs stopped', () => allDone([this.pause(), this.#cleared]));
    this.#mayBeStored = true;
    // Resumed but never started: what is stored still is this VM.
    const unconsumed = await readDifference(this.directory);
    const stats =
      unconsumed?.stats ??
      (await storeDifference(this.directory, {
        pid: this.pid,
        snapshotId: source.id,
        baseMemory: snapshotPath(source.directory, 'memory'),
        helper: this.#context.assets.memoryDifference,
        saveDeviceState: (file) => this.#saveDeviceState(file),
      }));
    if (!keepProcess) await step('QEMU ended', () => this.kill());
    return stats;
  }

  async fork(directories: readonly string[]): Promise<void> {
    const source = this.#source;
    if (source.kind !== 'snapshot') throw new VmmError('a VM that was booted cannot be forked');
    const [first, ...others] = directories;
    if (first === undefined) return;
    await this.pause();
    try {
      await copyOverlay(path.join(this.directory, vmFiles.disk), first);
      await storeDifference(first, {
        pid: this.pid,
        snapshotId: source.id,
        baseMemory: snapshotPath(source.directory, 'memory'),
        helper: this.#context.assets.memoryDifference,
        saveDeviceState: (file) => this.#saveDeviceState(file),
      });
    } finally {
      await this.unpause();
    }
    await allDone(
      others.map(async (directory) => {
        await copyOverlay(path.join(first, vmFiles.disk), directory);
        await copyDifference(first, directory);
      }),
    );
  }

  /** QEMU writes to the one file it may; what it could go on writing to is not what is kept. */
  async #saveDeviceState(target: string): Promise<void> {
    await this.#qmp.execute('xen-save-devices-state', { filename: vmFiles.deviceState, live: false });
    const written = path.join(this.directory, vmFiles.deviceState);
    const { size } = await stat(written);
    if (size > largestDeviceState) throw new VmmError(`QEMU has stored ${size} bytes of device state`);
    await copyFile(written, target, constants.COPYFILE_EXCL);
    await chmod(target, 0o600);
  }

  async usage(): Promise<VmmUsage> {
    return await processUsage(this.#process.identity);
  }

  async kill(): Promise<void> {
    this.#qmp.close();
    await this.#process.kill();
    // The process is gone, which is what counts. What cannot be removed now, the next start or the VM's end does.
    await Promise.allSettled(
      [vmFiles.process, ...vmSockets].map((name) => rm(path.join(this.directory, name), { force: true })),
    );
    await this.#context.groups.remove(this.directory);
  }
}
