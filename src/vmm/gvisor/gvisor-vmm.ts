import { chmod, readdir } from 'node:fs/promises';
import { step } from '../../telemetry/trace.ts';
import { blame, SnapshotChecks } from '../qemu/snapshot-checks.ts';
import { whenCorrupt } from '../stored-state/when-corrupt.ts';
import type {
  Architecture,
  BootRequest,
  LaunchRequest,
  MachineShape,
  SnapshotManifest,
  SnapshotOrigin,
  Vmm,
  VmmInstance,
} from '../vmm.ts';
import { writeBundle } from './bundle.ts';
import { SandboxGroups } from './groups.ts';
import { GvisorInstance, type SandboxContext } from './gvisor-instance.ts';
import { assertRestorable, describeOrigin } from './origin.ts';
import type { PageHelpers } from './pages.ts';
import { endSandbox, reconnectSandbox, type SandboxSource, startSandbox } from './sandbox-process.ts';
import {
  checkFiles,
  derivedState,
  deriveSnapshot,
  isDerived,
  publicManifest,
  readStoredManifest,
  type StoredManifest,
  snapshotPath,
} from './sandbox-snapshot.ts';
import {
  applyReplacement,
  assembleCheckpoint,
  copyState,
  currentState,
  isReplacementStaged,
  isUnsettled,
  readState,
  removeStateRemains,
  stageReplacement,
  unstageReplacement,
  verifyState,
} from './sandbox-state.ts';
import { sandboxFiles } from './vm-files.ts';

export interface GvisorVmmOptions {
  /** runsc, absolute, as a probe found it to work. */
  readonly binary: string;
  /** The agent that root file systems are made with. */
  readonly agent: string;
  readonly helpers: PageHelpers;
  readonly architecture: Architecture;
  /** Name of the control group that holds those of all sandboxes. */
  readonly groupName: string;
}

/**
 * VMs as gVisor sandboxes: processes on a kernel that is a program of the host, at the speed of its processors.
 * @throws {VmmError} runsc cannot be run
 */
export async function createGvisorVmm(options: GvisorVmmOptions): Promise<Vmm> {
  const [origin, groups] = await Promise.all([
    describeOrigin(options.binary, options.agent, options.architecture),
    SandboxGroups.find(options.groupName),
  ]);
  return new GvisorVmm(options, origin, groups);
}

class GvisorVmm implements Vmm {
  readonly origin: SnapshotOrigin;
  readonly #options: GvisorVmmOptions;
  readonly #groups: SandboxGroups;
  readonly #checks: SnapshotChecks;
  readonly #context: SandboxContext;

  constructor(options: GvisorVmmOptions, origin: SnapshotOrigin, groups: SandboxGroups) {
    this.#options = options;
    this.#groups = groups;
    this.origin = origin;
    this.#checks = new SnapshotChecks(options.helpers.memoryDifference);
    this.#context = {
      runsc: { binary: options.binary, groups: groups.obstacle === undefined },
      helpers: options.helpers,
      origin,
      checks: this.#checks,
    };
  }

  async boot({ directory, rootDisk, shape }: BootRequest): Promise<VmmInstance> {
    await this.#endLeftovers(directory);
    await chmod(rootDisk, 0o444);
    return await this.#start(directory, rootDisk, shape, { kind: 'boot', root: rootDisk, shape }, undefined);
  }

  async launch(request: LaunchRequest): Promise<VmmInstance> {
    const { directory, snapshot, paused = false } = request;
    await this.#endLeftovers(directory);
    const manifest = await this.#openSnapshot(snapshot, 'launch');
    if (await isDerived(snapshot)) {
      await step('state copied', () => copyState(derivedState(snapshot), directory));
      return await this.resume(request).catch(blame(snapshot));
    }
    return await this.#restore(directory, snapshot, manifest, snapshot, paused);
  }

  async resume({ directory, snapshot, paused = false }: LaunchRequest): Promise<VmmInstance> {
    const { helpers } = this.#options;
    const manifest = await this.#openSnapshot(snapshot, 'resume');
    await this.#endLeftovers(directory);
    await step('state checked', () => verifyState(directory, manifest.id, helpers.memoryDifference));
    const image = await assembleCheckpoint(directory, snapshotPath(snapshot, 'pages'), helpers);
    return await this.#restore(directory, snapshot, manifest, image, paused);
  }

  async isSuspended(directory: string): Promise<boolean> {
    return (await readState(directory).catch(whenCorrupt('damaged' as const))) !== undefined;
  }

  async isAtRest(directory: string): Promise<boolean> {
    const names = await readdir(directory);
    const busy = (name: string): boolean => isUnsettled(name) || name === sandboxFiles.process;
    return names.includes(currentState) && !names.some(busy);
  }

  async verifySuspended(directory: string): Promise<void> {
    await verifyState(directory, undefined, this.#options.helpers.memoryDifference);
  }

  async copySuspended(source: string, target: string): Promise<void> {
    await copyState(source, target);
  }

  async snapshotSuspended(source: string, base: string, target: string): Promise<SnapshotManifest> {
    const manifest = await this.#openSnapshot(base, 'resume');
    const { stats } = await verifyState(source, manifest.id, this.#options.helpers.memoryDifference);
    await deriveSnapshot(source, base, target);
    return {
      ...publicManifest(manifest),
      memoryBytes: manifest.memoryBytes + stats.memoryBytes,
      deviceStateBytes: stats.deviceStateBytes,
    };
  }

  async rollBack(directory: string, checkpoint: string): Promise<void> {
    await stageReplacement(directory, checkpoint);
    try {
      await this.#endLeftovers(directory);
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
      await this.#endLeftovers(directory);
      await applyReplacement(directory);
    }
    // With a state on the disk the sandbox is a suspend or a resume cut short: nothing is lost without it.
    const state = await readState(directory).catch(whenCorrupt('damaged' as const));
    const found = state === undefined ? await reconnectSandbox(directory, this.#groups) : undefined;
    if (found === undefined) await this.#endLeftovers(directory);
    // Not worth a VM: what stays is cleared by the next suspend, or with the VM.
    await removeStateRemains(directory).catch(() => undefined);
    return found && new GvisorInstance(this.#context, directory, found, false);
  }

  async assertUsable(snapshot: string): Promise<void> {
    const manifest = await readStoredManifest(snapshot);
    assertRestorable(manifest.origin, this.origin);
    await checkFiles(snapshot, manifest, 'launch');
  }

  async verify(snapshot: string): Promise<void> {
    const manifest = await readStoredManifest(snapshot);
    await this.#checks.reconfirm(await checkFiles(snapshot, manifest, 'launch'));
    if (!(await isDerived(snapshot))) return;
    const { memoryDifference } = this.#options.helpers;
    await verifyState(derivedState(snapshot), manifest.id, memoryDifference).catch(blame(snapshot));
  }

  async #endLeftovers(directory: string): Promise<void> {
    await endSandbox(this.#options.binary, directory, this.#groups);
  }

  async #openSnapshot(snapshot: string, use: 'launch' | 'resume'): Promise<StoredManifest> {
    const manifest = await readStoredManifest(snapshot);
    assertRestorable(manifest.origin, this.origin);
    await step('snapshot checked', async () =>
      this.#checks.confirm(await checkFiles(snapshot, manifest, use)),
    );
    return manifest;
  }

  async #restore(
    directory: string,
    snapshot: string,
    { id, shape }: StoredManifest,
    image: string,
    paused: boolean,
  ): Promise<VmmInstance> {
    const source = { kind: 'snapshot', directory: snapshot, id } as const;
    const instance = await this.#start(directory, snapshotPath(snapshot, 'root'), shape, source, image);
    try {
      if (paused) await instance.pause();
      else await step('guest let go on', () => instance.unpause());
      return instance;
    } catch (error) {
      await instance.kill();
      throw error;
    }
  }

  async #start(
    directory: string,
    root: string,
    shape: MachineShape,
    source: SandboxSource,
    image: string | undefined,
  ): Promise<VmmInstance> {
    const group = this.#groups.pathOf(directory);
    const bundle = await writeBundle(directory, { root, shape, group });
    const { runsc } = this.#context;
    const process = await startSandbox({
      options: runsc,
      groups: this.#groups,
      directory,
      bundle,
      source,
      image,
    });
    return new GvisorInstance(this.#context, directory, process, source.kind === 'snapshot');
  }
}
