import { rm } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { step } from '../../telemetry/trace.ts';
import { processUsage } from '../qemu/process.ts';
import type { SnapshotChecks } from '../qemu/snapshot-checks.ts';
import { consumeState } from '../stored-state/consume.ts';
import {
  type DifferenceStats,
  type SnapshotManifest,
  type SnapshotOrigin,
  VmmError,
  type VmmExit,
  type VmmInstance,
  type VmmUsage,
} from '../vmm.ts';
import { openChannel } from './channel.ts';
import type { PageHelpers } from './pages.ts';
import { checkpoint, type RunscOptions } from './runsc.ts';
import type { SandboxProcess } from './sandbox-process.ts';
import { checkFiles, publicManifest, snapshotPath, storeSnapshot } from './sandbox-snapshot.ts';
import { consumable, copyState, readState, removeStateRemains, storeState } from './sandbox-state.ts';
import { continueSandbox, stopSandbox } from './stopping.ts';
import { sandboxFiles } from './vm-files.ts';

export interface SandboxContext {
  readonly runsc: RunscOptions;
  readonly helpers: PageHelpers;
  readonly origin: SnapshotOrigin;
  readonly checks: SnapshotChecks;
}

export class GvisorInstance implements VmmInstance {
  readonly pid: number;
  readonly directory: string;
  readonly exited: Promise<VmmExit>;
  readonly #context: SandboxContext;
  readonly #process: SandboxProcess;
  /** Whether the directory may hold a stored state, which must be consumed before the guest goes on. */
  #mayBeStored: boolean;
  #over = false;
  #channel: Duplex | undefined;
  /** Removal of what the last resume left. */
  #cleared: Promise<void> = Promise.resolve();

  constructor(context: SandboxContext, directory: string, process: SandboxProcess, mayBeStored: boolean) {
    this.#context = context;
    this.#process = process;
    this.#mayBeStored = mayBeStored;
    this.pid = process.kernel.pid;
    this.directory = directory;
    this.exited = process.exited;
    void this.exited.then(() => {
      this.#over = true;
      this.#channel?.destroy();
    });
  }

  async connectAgent(): Promise<Duplex> {
    if (this.#over) throw new VmmError('the sandbox is gone');
    // The agent has one channel: a second reader of the pipe would take from the first.
    this.#channel?.destroy();
    this.#channel = await openChannel(this.directory);
    return this.#channel;
  }

  async pause(): Promise<void> {
    await stopSandbox(this.pid);
  }

  async unpause(): Promise<void> {
    await this.#cleared;
    if (this.#over) throw new VmmError('the sandbox is gone');
    if (this.#mayBeStored) await consumeState(this.directory, consumable);
    await continueSandbox(this.pid);
    this.#mayBeStored = false;
    // Not worth waiting for now. What cannot be removed is cleared by the next suspend or with the VM.
    this.#cleared = removeStateRemains(this.directory).catch(() => undefined);
  }

  async snapshot(target: string): Promise<SnapshotManifest> {
    const { source } = this.#process;
    if (source.kind !== 'boot') throw new VmmError('only a VM that was booted can become a snapshot');
    const { helpers, origin, checks } = this.#context;
    const image = path.join(this.directory, sandboxFiles.restore);
    try {
      await this.#checkpoint(image);
    } finally {
      await this.kill();
    }
    const about = { origin, shape: source.shape };
    const manifest = await storeSnapshot(
      target,
      { image, root: source.root },
      about,
      helpers.memoryDifference,
    );
    checks.trust(await checkFiles(target, manifest, 'launch'));
    return publicManifest(manifest);
  }

  async suspend({ keepProcess = false } = {}): Promise<DifferenceStats> {
    await this.#cleared;
    const source = this.#launched();
    await this.pause();
    this.#mayBeStored = true;
    // Resumed but never let go on: what is stored still is this VM.
    const unconsumed = await readState(this.directory);
    const stats = unconsumed?.stats ?? (await this.#store(this.directory, source));
    if (!keepProcess) await step('sandbox ended', () => this.kill());
    return stats;
  }

  async fork(directories: readonly string[]): Promise<void> {
    const source = this.#launched();
    const [first, ...others] = directories;
    if (first === undefined) return;
    try {
      await this.#store(first, source);
    } finally {
      await this.unpause();
    }
    for (const directory of others) await copyState(first, directory);
  }

  async usage(): Promise<VmmUsage> {
    return await processUsage(this.#process.kernel);
  }

  async kill(): Promise<void> {
    this.#channel?.destroy();
    await this.#process.kill();
  }

  #launched(): { readonly directory: string; readonly id: string } {
    const { source } = this.#process;
    if (source.kind === 'snapshot') return source;
    throw new VmmError('a VM that was booted cannot be suspended, only become a snapshot');
  }

  async #store(
    target: string,
    source: { readonly directory: string; readonly id: string },
  ): Promise<DifferenceStats> {
    return await storeState(target, {
      snapshotId: source.id,
      basePages: snapshotPath(source.directory, 'pages'),
      helpers: this.#context.helpers,
      checkpoint: (image) => this.#checkpoint(image),
    });
  }

  /**
   * The kernel of a sandbox has to run to store itself, and stops its guest for as long as that takes. It is stopped
   * again before anybody could talk to the guest.
   */
  async #checkpoint(image: string): Promise<void> {
    await rm(image, { recursive: true, force: true });
    await continueSandbox(this.pid);
    try {
      await checkpoint(this.#context.runsc, this.directory, image);
    } finally {
      await stopSandbox(this.pid);
    }
  }
}
