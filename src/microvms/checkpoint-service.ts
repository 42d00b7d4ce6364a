import { checkpointDamaged, microvmTerminated, storedStateDamaged } from '../errors.ts';
import type { ImageService } from '../images/image-service.ts';
import type { Clock } from '../model/clock.ts';
import type { ImageVersion } from '../model/image.ts';
import { isLive, type Microvm } from '../model/microvm.ts';
import { oneAtATime } from '../model/one-at-a-time.ts';
import { DifferenceCorruptError, type Vmm } from '../vmm/vmm.ts';
import { type Checkpoint, Checkpoints } from './checkpoints.ts';
import type { MicrovmController } from './controller.ts';
import type { TransitionMetrics } from './transition-metrics.ts';

/** Methods throw {@link ServiceError}. A checkpoint is named by its id or its name. */
export interface CheckpointService {
  /**
   * Stores what the VM is at this moment: memory, disk, processes. A running VM pauses meanwhile and goes on; a
   * sleeping one sleeps on. Checkpoints are gone with their VM.
   * @param name unique among the VM's; the checkpoint has an id in any case
   */
  create(microvmId: string, name?: string): Promise<Checkpoint>;
  /** The oldest first. */
  list(microvmId: string): Promise<readonly Checkpoint[]>;
  remove(microvmId: string, checkpoint: string): Promise<void>;
  /**
   * Makes the VM what it was at a checkpoint, which stays. What it has become since is lost. One that runs goes on
   * from there, with the right time and fresh randomness, and gets the `/resume` hook; one that sleeps sleeps on.
   */
  rollBack(microvmId: string, checkpoint: string): Promise<Microvm>;
  /**
   * Makes what the VM is at this moment a version of an image, SUCCESSFUL and ACTIVE, which lives on without the VM.
   * @param imageName that of the VM's image when absent; an image that is not there yet is made
   */
  commit(microvmId: string, imageName?: string): Promise<ImageVersion>;
}

export interface CheckpointServiceOptions {
  readonly controllerOf: (microvmId: string) => Promise<MicrovmController>;
  readonly resume: (microvmId: string) => Promise<void>;
  readonly directoryOf: (microvmId: string) => string;
  readonly images: Pick<ImageService, 'addDerived' | 'snapshotDirectory'>;
  readonly vmm: Pick<Vmm, 'snapshotSuspended' | 'verifySuspended'>;
  readonly clock: Clock;
  readonly metrics: Pick<TransitionMetrics, 'measure'>;
}

export function createCheckpointService(options: CheckpointServiceOptions): CheckpointService {
  const { metrics } = options;
  const exclusively = oneAtATime();

  interface Opened {
    readonly controller: MicrovmController;
    readonly checkpoints: Checkpoints;
  }

  async function open(microvmId: string): Promise<Opened> {
    const controller = await options.controllerOf(microvmId);
    return { controller, checkpoints: new Checkpoints(microvmId, options.directoryOf(microvmId)) };
  }

  /** Does what stores a VM's state, once it has one. */
  async function storing<Result>(
    microvmId: string,
    work: (opened: Opened) => Promise<Result>,
  ): Promise<Result> {
    const opened = await open(microvmId);
    const { controller } = opened;
    // One that is being launched has no directory of its own yet.
    if (controller.vm.state === 'PENDING') await controller.resume();
    try {
      return await exclusively(() => work(opened));
    } catch (error) {
      throw isLive(controller.vm.state) ? error : microvmTerminated(microvmId);
    }
  }

  /** @throws `otherwise` where what is stored in the directory is damaged */
  async function verify(directory: string, otherwise: Error): Promise<void> {
    await options.vmm.verifySuspended(directory).catch((error: unknown) => {
      throw error instanceof DifferenceCorruptError ? otherwise : error;
    });
  }

  /** What sleeps is copied, and may have been damaged since it was stored. */
  async function capture(controller: MicrovmController, directory: string): Promise<void> {
    const { state, microvmId } = controller.vm;
    await controller.capture([directory]);
    if (state === 'SUSPENDED') await verify(directory, storedStateDamaged(microvmId));
  }

  return {
    create: (microvmId, name) =>
      storing(microvmId, ({ controller, checkpoints }) =>
        checkpoints.create(name, options.clock.now(), (directory) =>
          metrics.measure('checkpoint', () => capture(controller, directory)),
        ),
      ),
    async list(microvmId) {
      return await (await open(microvmId)).checkpoints.list();
    },
    async remove(microvmId, checkpoint) {
      const { checkpoints } = await open(microvmId);
      await exclusively(async () => checkpoints.remove(await checkpoints.find(checkpoint)));
    },
    async rollBack(microvmId, checkpoint) {
      const { controller, checkpoints } = await open(microvmId);
      const awake = controller.vm.state !== 'SUSPENDED';
      await exclusively(async () => {
        const directory = checkpoints.directoryOf(await checkpoints.find(checkpoint));
        // Before anything of the microVM is given up for it.
        await verify(directory, checkpointDamaged(microvmId, checkpoint));
        await metrics.measure('rollback', () => controller.rollBack(directory));
      });
      if (awake) await options.resume(microvmId);
      return controller.vm;
    },
    commit: (microvmId, imageName) =>
      storing(microvmId, ({ controller, checkpoints }) =>
        metrics.measure('commit', () =>
          checkpoints.withTemporary(
            (directory) => capture(controller, directory),
            async (directory) => {
              const { version } = await options.images.addDerived(
                controller.vm,
                imageName,
                async (snapshot) => {
                  const base = options.images.snapshotDirectory(controller.vm);
                  const made = await options.vmm.snapshotSuspended(directory, base, snapshot);
                  return {
                    memorySnapshotSizeInBytes: made.memoryBytes,
                    diskSnapshotSizeInBytes: made.diskBytes,
                  };
                },
              );
              return version;
            },
          ),
        ),
      ),
  };
}
