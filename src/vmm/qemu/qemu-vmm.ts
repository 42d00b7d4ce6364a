import { execFile } from 'node:child_process';
import { chmod, readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Assets } from '../../assets.ts';
import { step } from '../../telemetry/trace.ts';
import { whenCorrupt } from '../stored-state/when-corrupt.ts';
import type {
  Architecture,
  BootRequest,
  LaunchRequest,
  SnapshotManifest,
  SnapshotOrigin,
  Vmm,
  VmmInstance,
} from '../vmm.ts';
import { allDone } from './all-done.ts';
import { qemuArguments, vmFiles } from './arguments.ts';
import { Confinement } from './confinement.ts';
import { cpuModelFor } from './cpu-model.ts';
import { derivedState, deriveSnapshot, isDerived } from './derived-snapshot.ts';
import {
  currentDifference,
  differenceDeviceState,
  differencePath,
  differenceRemains,
  letVmmRead,
  openDifference,
  readDifference,
  removeDifferenceRemains,
  verifySuspended,
} from './difference.ts';
import { applyMemoryDifference } from './helper.ts';
import { describeOrigin, type QemuAccelerator } from './machine.ts';
import type { ProcessRecord } from './process.ts';
import { copyOverlay, loadState, overlayTemplate, QemuInstance } from './qemu-instance.ts';
import {
  applyReplacement,
  copySuspended,
  isReplacementStaged,
  replacementNames,
  stageReplacement,
  unstageReplacement,
} from './replacement.ts';
import { assertRestorable } from './restorable.ts';
import { blame, SnapshotChecks, verifySnapshot } from './snapshot-checks.ts';
import { checkFiles, publicManifest, readStoredManifest, snapshotPath } from './snapshot-files.ts';
import { type ControlledVmm, endLeftovers, reconnectVmm, type StartRequest, startVmm } from './start.ts';

const run = promisify(execFile);

/** What a process, or something cut short, leaves in a VM's directory. */
const unsettledNames: ReadonlySet<string> = new Set([
  vmFiles.process,
  ...differenceRemains,
  ...replacementNames,
]);

export interface QemuVmmOptions {
  readonly assets: Assets;
  /** As a probe found it: that /dev/kvm opens proves nothing. */
  readonly accelerator: QemuAccelerator;
  /** Absolute path of qemu-system-…; `qemu-img` is looked for beside it. */
  readonly binary: string;
  readonly architecture: Architecture;
  /** How VMMs are confined; the best that the machine allows when absent. */
  readonly confinement?: Confinement | undefined;
}

/**
 * VMs by QEMU 10 or newer. Without a network card: a guest reaches the world through its agent only.
 * @throws {VmmError} QEMU cannot be run or is too old
 */
export async function createQemuVmm(options: QemuVmmOptions): Promise<Vmm> {
  const { assets, binary, architecture, accelerator } = options;
  const [origin, cpuModel, confinement] = await Promise.all([
    describeOrigin(assets, binary, architecture, accelerator),
    cpuModelFor(binary, architecture, accelerator),
    options.confinement ?? Confinement.find({ jail: assets.vmmJail, binary }),
  ]);
  await confinement.groups.removeIdle();
  return new QemuVmm(options, { ...origin, cpuModel }, confinement);
}

class QemuVmm implements Vmm {
  readonly origin: SnapshotOrigin;
  readonly #options: QemuVmmOptions;

  readonly #confinement: Confinement;
  readonly #checks: SnapshotChecks;

  constructor(options: QemuVmmOptions, origin: SnapshotOrigin, confinement: Confinement) {
    this.#options = options;
    this.#confinement = confinement;
    this.#checks = new SnapshotChecks(options.assets.memoryDifference);
    this.origin = origin;
  }

  async boot({ directory, rootDisk, shape }: BootRequest): Promise<VmmInstance> {
    const { binary } = this.#options;
    await endLeftovers(this.#confinement, binary, directory);
    const template = path.join(directory, overlayTemplate);
    const { size } = await stat(rootDisk);
    const qemuImg = path.join(path.dirname(binary), 'qemu-img');
    await run(qemuImg, ['create', '-q', '-f', 'qcow2', template, String(size)], { env: {} });
    await copyOverlay(template, directory);
    await chmod(rootDisk, 0o444);
    const source = { kind: 'boot', rootDisk, shape } as const;
    const args = qemuArguments({
      ...this.#options,
      machineType: this.origin.machineType,
      cpuModel: this.origin.cpuModel,
      shape,
      memory: { kind: 'own' },
      lowerDisks: [{ file: rootDisk, format: 'raw' }],
      incoming: 'none',
    });
    const own = [vmFiles.disk, vmFiles.deviceState, vmFiles.memory];
    const cell = { directory, readOnly: [rootDisk], own, shape, diskBytes: size };
    return this.#instance(directory, await this.#start(args, cell, source), source);
  }

  async launch(request: LaunchRequest): Promise<VmmInstance> {
    const { binary } = this.#options;
    const { directory, snapshot, paused = false } = request;
    if (await isDerived(snapshot)) {
      await endLeftovers(this.#confinement, binary, directory);
      await this.#openSnapshot(snapshot, 'launch');
      await step('overlay', () => copySuspended(derivedState(snapshot), directory));
      return await this.resume(request).catch(blame(snapshot));
    }
    const prepare = async (): Promise<void> => {
      await endLeftovers(this.#confinement, binary, directory);
      await step('overlay', () => copyOverlay(snapshotPath(snapshot, 'overlay'), directory));
    };
    const [manifest] = await allDone([this.#openSnapshot(snapshot, 'launch'), prepare()]);
    return await this.#restore(directory, snapshot, manifest, 'snapshot', paused, ({ qmp }) =>
      loadState(qmp, snapshotPath(snapshot, 'deviceState'), true),
    );
  }

  async resume({ directory, snapshot, paused = false }: LaunchRequest): Promise<VmmInstance> {
    const { binary, assets } = this.#options;
    const manifest = await this.#openSnapshot(snapshot, 'resume');
    await endLeftovers(this.#confinement, binary, directory);
    await step('difference checked', () => openDifference(directory, manifest.id, assets.memoryDifference));
    await letVmmRead(directory);
    return await this.#restore(
      directory,
      snapshot,
      manifest,
      'difference',
      paused,
      async ({ process, qmp }) => {
        const memory = snapshotPath(snapshot, 'memory');
        const difference = differencePath(directory, 'memory');
        const { pid } = process.identity;
        await step('memory difference applied', () =>
          applyMemoryDifference(assets.memoryDifference, pid, memory, difference),
        );
        await loadState(qmp, differenceDeviceState, false);
      },
    );
  }

  async isSuspended(directory: string): Promise<boolean> {
    return (await readDifference(directory).catch(whenCorrupt('damaged' as const))) !== undefined;
  }

  async isAtRest(directory: string): Promise<boolean> {
    const names = await readdir(directory);
    return names.includes(currentDifference) && !names.some((name) => unsettledNames.has(name));
  }

  async verifySuspended(directory: string): Promise<void> {
    await verifySuspended(directory, this.#options.assets.memoryDifference);
  }

  async copySuspended(source: string, target: string): Promise<void> {
    await copySuspended(source, target);
  }

  async snapshotSuspended(source: string, base: string, target: string): Promise<SnapshotManifest> {
    const manifest = await this.#openSnapshot(base, 'resume');
    const { stats } = await openDifference(source, manifest.id, this.#options.assets.memoryDifference);
    await deriveSnapshot(source, base, target);
    return {
      ...manifest,
      memoryBytes: manifest.memoryBytes + stats.memoryBytes,
      diskBytes: manifest.diskBytes + stats.diskBytes,
      deviceStateBytes: stats.deviceStateBytes,
    };
  }

  async rollBack(directory: string, checkpoint: string): Promise<void> {
    await stageReplacement(directory, checkpoint);
    try {
      await endLeftovers(this.#confinement, this.#options.binary, directory);
    } catch (error) {
      await unstageReplacement(directory);
      throw error;
    }
  }

  async finishRollBack(directory: string): Promise<void> {
    if (await isReplacementStaged(directory)) await applyReplacement(directory);
  }

  async adopt(directory: string): Promise<VmmInstance | undefined> {
    if (await isReplacementStaged(directory)) {
      await endLeftovers(this.#confinement, this.#options.binary, directory);
      await applyReplacement(directory);
    }
    // With a difference on the disk the process is a suspend or a resume cut short: nothing is lost without it.
    const difference = await readDifference(directory).catch(whenCorrupt('damaged' as const));
    const found = difference === undefined ? await reconnectVmm(directory) : undefined;
    if (found === undefined) await endLeftovers(this.#confinement, this.#options.binary, directory);
    // Not worth a VM: what stays is cleared by the next suspend, or with the VM.
    await removeDifferenceRemains(directory).catch(() => undefined);
    return found && this.#instance(directory, found, found.source);
  }

  async assertUsable(snapshot: string): Promise<void> {
    const manifest = await readStoredManifest(snapshot);
    assertRestorable(manifest.origin, this.origin);
    await checkFiles(snapshot, manifest, 'launch');
  }

  async verify(snapshot: string): Promise<void> {
    await verifySnapshot(snapshot, this.#options.assets.memoryDifference, this.#checks);
  }

  async #openSnapshot(directory: string, use: 'launch' | 'resume'): Promise<SnapshotManifest> {
    const manifest = await readStoredManifest(directory);
    assertRestorable(manifest.origin, this.origin);
    await step('snapshot checked', async () =>
      this.#checks.confirm(await checkFiles(directory, manifest, use)),
    );
    return publicManifest(manifest);
  }

  /** Starts QEMU with stopped virtual CPUs, lets `load` fill it and starts them unless told otherwise. */
  async #restore(
    directory: string,
    snapshot: string,
    { id, shape, origin: { cpuModel, machineType } }: SnapshotManifest,
    incoming: 'snapshot' | 'difference',
    paused: boolean,
    load: (vmm: ControlledVmm) => Promise<void>,
  ): Promise<VmmInstance> {
    const args = qemuArguments({
      ...this.#options,
      machineType,
      cpuModel,
      shape,
      memory: { kind: 'snapshot', file: snapshotPath(snapshot, 'memory') },
      lowerDisks: [
        { file: snapshotPath(snapshot, 'root'), format: 'raw' },
        { file: snapshotPath(snapshot, 'disk'), format: 'qcow2' },
      ],
      incoming,
    });
    const source = { kind: 'snapshot', directory: snapshot, id } as const;
    const { size } = await stat(snapshotPath(snapshot, 'root'));
    const own = [vmFiles.disk, vmFiles.deviceState];
    const cell = { directory, readOnly: [snapshot], own, shape, diskBytes: size };
    const vmm = await step('QEMU started', () => this.#start(args, cell, source));
    const instance = this.#instance(directory, vmm, source, incoming === 'difference');
    try {
      await load(vmm);
      if (!paused) await step('virtual CPUs started', () => instance.unpause());
      return instance;
    } catch (error) {
      await instance.kill();
      throw error;
    }
  }

  async #start(
    args: readonly string[],
    cell: Omit<StartRequest['cell'], 'kvm'>,
    source: ProcessRecord['source'],
  ): Promise<ControlledVmm> {
    const { binary, assets, accelerator } = this.#options;
    return await startVmm({
      confinement: this.#confinement,
      binary,
      args,
      cell: {
        ...cell,
        readOnly: [assets.kernel, assets.initrd, ...cell.readOnly],
        kvm: accelerator === 'kvm',
      },
      source,
    });
  }

  #instance(
    directory: string,
    vmm: ControlledVmm,
    source: ProcessRecord['source'],
    mayBeStored = false,
  ): QemuInstance {
    const context = {
      assets: this.#options.assets,
      origin: this.origin,
      groups: this.#confinement.groups,
      checks: this.#checks,
    };
    return new QemuInstance(context, directory, vmm.process, vmm.qmp, source, mayBeStored);
  }
}
