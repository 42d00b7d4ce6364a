import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { applyReplacement, copySuspended, isReplacementStaged, stageReplacement } from './replacement.ts';

/** A VM's directory with a disk and a difference of one generation each. */
async function suspended(directory: string, generation: string): Promise<void> {
  await mkdir(path.join(directory, 'difference'), { recursive: true });
  for (const file of [
    'disk.qcow2',
    'difference/memory',
    'difference/device-state',
    'difference/manifest.json',
  ]) {
    await writeFile(path.join(directory, file), generation);
  }
}

async function room(t: TestContext) {
  const scratch = await mkdtemp(path.join(os.tmpdir(), 'dormouse-replacement-'));
  t.after(() => rm(scratch, { recursive: true, force: true }));
  const vm = path.join(scratch, 'vm');
  const checkpoint = path.join(scratch, 'checkpoint');
  await suspended(vm, 'now');
  await suspended(checkpoint, 'then');
  return { vm, checkpoint };
}

async function assertIs(directory: string, generation: string): Promise<void> {
  assert.deepEqual((await readdir(directory)).sort(), ['difference', 'disk.qcow2']);
  for (const file of [
    'disk.qcow2',
    'difference/memory',
    'difference/device-state',
    'difference/manifest.json',
  ]) {
    assert.equal(await readFile(path.join(directory, file), 'utf8'), generation, file);
  }
}

/** Where a crash may cut the move short, as it leaves the directory. */
const cuts: readonly (readonly [string, (vm: string) => Promise<void>])[] = [
  ['before anything was moved', async () => undefined],
  ['after the old difference was removed', (vm) => rm(path.join(vm, 'difference'), { recursive: true })],
  [
    'after the disk was moved',
    async (vm) => {
      await rm(path.join(vm, 'difference'), { recursive: true });
      await rename(path.join(vm, 'replacement', 'disk.qcow2'), path.join(vm, 'disk.qcow2'));
    },
  ],
  [
    'after all was moved',
    async (vm) => {
      await rm(path.join(vm, 'difference'), { recursive: true });
      await rename(path.join(vm, 'replacement', 'disk.qcow2'), path.join(vm, 'disk.qcow2'));
      await rename(path.join(vm, 'replacement', 'difference'), path.join(vm, 'difference'));
    },
  ],
];

for (const [when, cut] of cuts) {
  test(`a replacement cut short ${when} is finished by the next`, async (t) => {
    const { vm, checkpoint } = await room(t);
    await stageReplacement(vm, checkpoint);
    await cut(vm);
    assert.equal(await isReplacementStaged(vm), true);
    await applyReplacement(vm);
    await assertIs(vm, 'then');
    await assertIs(checkpoint, 'then');
    assert.equal(await isReplacementStaged(vm), false);
  });
}

test('a VM that runs, and so has no difference, gets that of the replacement', async (t) => {
  const { vm, checkpoint } = await room(t);
  await rm(path.join(vm, 'difference'), { recursive: true });
  await stageReplacement(vm, checkpoint);
  await applyReplacement(vm);
  await assertIs(vm, 'then');
});

test('a replacement that cannot be staged changes nothing', async (t) => {
  const { vm, checkpoint } = await room(t);
  await rm(path.join(checkpoint, 'difference', 'memory'));
  await assert.rejects(stageReplacement(vm, checkpoint));
  assert.equal(await isReplacementStaged(vm), false);
  await assertIs(vm, 'now');
});

test('a copy shares nothing that is written to', async (t) => {
  const { vm, checkpoint } = await room(t);
  const copy = path.join(path.dirname(vm), 'copy');
  await mkdir(copy);
  await copySuspended(checkpoint, copy);
  await writeFile(path.join(copy, 'disk.qcow2'), 'changed');
  await assertIs(checkpoint, 'then');
  await assertIs(vm, 'now');
});
