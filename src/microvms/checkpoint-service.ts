import { microvmTerminated } from '../errors.ts';
import { isLive, type Microvm } from '../model/microvm.ts';
import { oneAtATime } from '../model/one-at-a-time.ts';
import { type Checkpoint, Checkpoints } from './checkpoints.ts';
import type { MicrovmController } from './controller.ts';

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
}

export interface CheckpointServiceOptions {
  readonly controllerOf: (microvmId: string) => Promise<MicrovmController>;
  readonly resume: (microvmId: string) => Promise<void>;
  readonly directoryOf: (microvmId: string) => string;
  readonly now: () => number;
}

export function createCheckpointService(options: CheckpointServiceOptions): CheckpointService {
  const exclusively = oneAtATime();

  async function open(microvmId: string) {
    const controller = await options.controllerOf(microvmId);
    return { controller, checkpoints: new Checkpoints(microvmId, options.directoryOf(microvmId)) };
  }

  return {
    async create(microvmId, name) {
      const { controller, checkpoints } = await open(microvmId);
      // One that is being launched has no directory of its own yet.
      if (controller.vm.state === 'PENDING') await controller.resume();
      try {
        return await exclusively(() =>
          checkpoints.create(name, options.now(), (directory) => controller.capture([directory])),
        );
      } catch (error) {
        throw isLive(controller.vm.state) ? error : microvmTerminated(microvmId);
      }
    },
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
      await exclusively(async () =>
        controller.rollBack(checkpoints.directoryOf(await checkpoints.find(checkpoint))),
      );
      if (awake) await options.resume(microvmId);
      return controller.vm;
    },
  };
}
