import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { SnapshotCorruptError, type SnapshotOrigin, VmmError } from '../vmm.ts';
import { checkFiles, readStoredManifest, storeSnapshot } from './snapshot-files.ts';

const origin: SnapshotOrigin = {
  vmm: 'qemu',
  vmmVersion: '10.0.2',
  accelerator: 'tcg',
  architecture: 'x86_64',
  machineType: 'pc-q35-10.0',
  cpuModel: 'Nehalem',
  kernelDigest: 'k',
  initrdDigest: 'i',
  agentProtocol: 1,
  deviceLayout: 1,
};
const about = { origin, shape: { memoryMib: 1, vcpus: 1 } };

/** Stands for the helper: one checksum line for each file. */
const fakeHelper = '#!/bin/sh\nshift\nfor file; do echo 00c0ffee; done\n';

async function sources(t: TestContext) {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-snapshot-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const vm = path.join(directory, 'vm');
  await mkdir(vm);
  const at = (name: string): string => path.join(vm, name);
  await writeFile(at('memory'), Buffer.alloc(1 << 20, 'memory'));
  for (const name of ['device-state', 'disk', 'overlay', 'root']) await writeFile(at(name), name);
  const helper = path.join(directory, 'helper');
  await writeFile(helper, fakeHelper, { mode: 0o755 });
  return {
    directory,
    helper,
    files: {
      memory: at('memory'),
      deviceState: at('device-state'),
      disk: at('disk'),
      overlay: at('overlay'),
      root: at('root'),
    },
  };
}

test('a snapshot is complete when it appears and the shared root stays where it was', async (t) => {
  const { directory, helper, files } = await sources(t);
  const target = path.join(directory, 'snapshot');
  const manifest = await storeSnapshot(target, files, about, helper);
  assert.deepEqual(await readStoredManifest(target), manifest);
  assert.equal((await checkFiles(target, manifest, 'launch')).length, 4);
  assert.deepEqual(await readdir(path.dirname(files.root)), ['root']);
  assert.deepEqual((await readdir(directory)).sort(), ['helper', 'snapshot', 'vm']);
});

test('a snapshot that cannot be completed leaves nothing', async (t) => {
  const { directory, files } = await sources(t);
  const target = path.join(directory, 'snapshot');
  await assert.rejects(storeSnapshot(target, files, about, '/bin/false'), VmmError);
  assert.deepEqual((await readdir(directory)).sort(), ['helper', 'vm']);
});

test('a memory of another size than the machine is refused', async (t) => {
  const { directory, helper, files } = await sources(t);
  const target = path.join(directory, 'snapshot');
  const shape = { memoryMib: 2, vcpus: 1 };
  const manifest = await storeSnapshot(target, files, { ...about, shape }, helper);
  await assert.rejects(checkFiles(target, manifest, 'resume'), SnapshotCorruptError);
});

test('a manifest names what it was made with', async (t) => {
  const { directory, helper, files } = await sources(t);
  const target = path.join(directory, 'snapshot');
  await storeSnapshot(target, files, about, helper);
  assert.match(await readFile(path.join(target, 'manifest.json'), 'utf8'), /"checksum": "crc32c:00c0ffee"/);
});
