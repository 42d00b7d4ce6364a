/** A disk that is really full, under the engine on the fake machine: nothing that was there is lost, and nothing is left. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, stat, truncate } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { goesOn, holdsTogether, livesAndEnds, settles } from './invariants.ts';
import { asleep, awake } from './scenarios.ts';
import { World } from './world.ts';

const run = promisify(execFile);

/** Writes until the file system of `file` has no room left. */
async function fill(file: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    for (let size = 1 << 20; size >= 4096; ) {
      const full = await handle.write(Buffer.alloc(size)).then(
        ({ bytesWritten }) => bytesWritten < size,
        (error: NodeJS.ErrnoException) => error.code === 'ENOSPC',
      );
      if (full) size >>= 1;
    }
  } finally {
    await handle.close();
  }
}

it('a full disk costs no microVM its life', async (context) => {
  const mount = await mkdtemp(path.join(os.tmpdir(), 'dormouse-full-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1g', 'tmpfs', mount]);
  } catch {
    await rm(mount, { recursive: true });
    context.skip('this user may not mount a small file system');
    return;
  }
  let world: World | undefined;
  context.after(async () => {
    await world?.destroy();
    await run('umount', ['--lazy', mount]);
    await rm(mount, { recursive: true });
  });
  world = await World.create({ scratchRoot: mount });
  const running = await awake(world);
  const sleeping = await asleep(world);

  const ballast = path.join(mount, 'ballast');
  // With ever more room left a suspend comes ever further before it has to be given up.
  for (const room of [0, 32_768, 131_072]) {
    await fill(ballast);
    await truncate(ballast, (await stat(ballast)).size - room);
    await goesOn(world, running);
    const { microvmId } = running.vm;
    const suspend = world.call(({ microvms }) => microvms.suspend(microvmId));
    await Promise.allSettled([suspend, world.run()]);
    const over = world.reaches(microvmId, 'RUNNING', 'SUSPENDED');
    await Promise.race([over, new Promise((resolve) => setTimeout(resolve, 300))]);
    await rm(ballast);
    await over;
    await goesOn(world, running);
  }

  await settles(world);
  for (const subject of [running, sleeping]) {
    assert.notEqual((await world.get(subject.vm.microvmId)).state, 'TERMINATED');
    await livesAndEnds(world, subject);
  }
  await holdsTogether(world);
});
