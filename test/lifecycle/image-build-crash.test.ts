import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, readdir, realpath } from 'node:fs/promises';
import path from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { locateAssets } from '../../src/assets.ts';
import { chooseVmm } from '../../src/vmm/choose-vmm.ts';
import { readProcessRecord } from '../../src/vmm/qemu/process.ts';
import { processesUsing, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { ImageRoom } from '../support/image-room.ts';

const child = fileURLToPath(new URL('../support/image-build-child.ts', import.meta.url));

/** Waits until the VMM of the one build in `directory` runs: it is recorded before it starts, and again once it has. */
async function vmBooted(directory: string): Promise<void> {
  const builds = path.join(directory, 'images', 'builds');
  for (;;) {
    const [build] = await readdir(builds).catch(() => []);
    const record = await readProcessRecord(path.join(builds, build ?? '', 'vm'));
    if (record?.identity !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

describe('a build whose server was killed', { timeout: 300_000 }, () => {
  it('is made again by the next server, and its VM is gone', async (context) => {
    const directory = await realpath(await temporaryDirectory());
    let room: ImageRoom | undefined;
    context.after(async () => {
      await room?.close();
      await removeDataDirectory(directory);
    });
    const builder = spawn(process.execPath, [child, directory], { stdio: 'inherit' });
    const exited = once(builder, 'exit');
    await vmBooted(directory);
    builder.kill('SIGKILL');
    await exited;
    const orphans = await processesUsing(directory);
    assert.ok(orphans.length > 0, 'the VMM outlives its server');

    const { vmm } = await chooseVmm('tcg', locateAssets());
    room = await ImageRoom.open(vmm, directory);
    const alive = await processesUsing(directory);
    assert.deepEqual(
      alive.filter((pid) => orphans.includes(pid)),
      [],
    );
    const version = await room.built('crash');
    assert.deepEqual([version.state, version.stateReason], ['SUCCESSFUL', null]);
    assert.deepEqual(await room.leftovers(), []);
    await access(room.images.snapshotDirectory(version));
  });
});
