import { rm } from 'node:fs/promises';
import { ensureDirectory } from '../../blobs/durable.ts';
import type { GuestAgent } from '../../guest/guest-agent.ts';
import type { ImageVersion } from '../../model/image.ts';
import type { VmmInstance } from '../../vmm/vmm.ts';
import type { Engine } from '../engine.ts';
import { openSession, renewIdentity } from '../guest-session.ts';
import { newMicrovmId } from '../new-microvm.ts';

export type VersionName = Pick<ImageVersion, 'imageArn' | 'imageVersion'>;

/** A VM that is nobody's yet: restored from its version's snapshot, its session open, its virtual CPUs stopped. */
export interface Spare {
  /** The id of whoever gets it: its directory bears that name from the beginning. */
  readonly microvmId: string;
  readonly instance: VmmInstance;
  readonly agent: GuestAgent;
  /** Memory it took when it was made. */
  readonly bytes: number;
}

type SpareEngine = Pick<Engine, 'vmm' | 'images' | 'directoryOf' | 'transitions' | 'clock'>;

/**
 * Makes a spare VM. It runs for as long as it takes to greet its agent and to give it name, time and randomness,
 * which is what a launch does before the `/run` hook too; then it stops, and its new owner makes time and
 * randomness fresh again. What its application asks of the network meanwhile waits, and what it prints is kept.
 * @throws when it cannot be made or `signal` aborts; nothing is left of it then
 */
export async function makeSpare(
  engine: SpareEngine,
  version: VersionName,
  signal: AbortSignal,
): Promise<Spare> {
  const microvmId = newMicrovmId();
  const directory = engine.directoryOf(microvmId);
  await engine.transitions.quiet(signal);
  await engine.images.runnableVersion(version.imageArn, version.imageVersion);
  try {
    await ensureDirectory(directory);
    const instance = await engine.images.withSnapshot(version, (snapshot) =>
      engine.vmm.launch({ directory, snapshot, paused: true }),
    );
    try {
      await engine.transitions.quiet(signal);
      await instance.unpause();
      const agent = await openSession(instance, signal);
      await renewIdentity(agent, engine.clock, microvmId);
      await agent.freeze();
      await instance.pause();
      const { proportionalBytes } = await instance.usage();
      return { microvmId, instance, agent, bytes: proportionalBytes };
    } catch (error) {
      await instance.kill();
      throw error;
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Removes a spare nobody wants, and everything it had on this host. */
export async function discardSpare(
  engine: Pick<Engine, 'directoryOf'>,
  { microvmId, instance, agent }: Spare,
): Promise<void> {
  agent.close();
  await instance.kill();
  await rm(engine.directoryOf(microvmId), { recursive: true, force: true });
}
