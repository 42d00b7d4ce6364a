import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, open, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { locateAssets } from '../../assets.ts';
import { VmmError } from '../vmm.ts';
import { Confinement } from './confinement.ts';
import { isAlive, readProcessRecord, spawnVmm, type VmmProcess, writeProcessRecord } from './process.ts';
import { endLeftovers, reconnectVmm, startVmm } from './start.ts';

const binary = await realpath('/bin/sleep');
const confinement = await Confinement.find({
  jail: locateAssets().vmmJail,
  binary,
  groupName: 'dormouse-start-test',
});
const source = { kind: 'snapshot', directory: '/snapshot', id: 'one' } as const;

async function running(t: TestContext): Promise<{ directory: string; vmm: VmmProcess }> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-start-'));
  const vmm = await spawnVmm(binary, ['1000'], directory);
  t.after(async () => {
    await vmm.kill();
    await rm(directory, { recursive: true, force: true });
  });
  return { directory, vmm };
}

test('a recorded VMM is ended', async (t) => {
  const { directory, vmm } = await running(t);
  await writeProcessRecord(directory, { formatVersion: 1, identity: vmm.identity, source });
  await endLeftovers(confinement, binary, directory);
  await vmm.exited;
  assert.equal(await readProcessRecord(directory), undefined);
});

test('a VMM started right before its server died is found by its directory', async (t) => {
  const { directory, vmm } = await running(t);
  const other = await running(t);
  await writeProcessRecord(directory, { formatVersion: 1, source });
  await endLeftovers(confinement, binary, directory);
  await vmm.exited;
  assert.equal(await isAlive(other.vmm.identity), true);
});

test('and by what it was started with, while it is changing its root', async (t) => {
  const elsewhere = await mkdtemp(path.join(os.tmpdir(), 'dormouse-start-'));
  t.after(() => rm(elsewhere, { recursive: true }));
  const { directory } = await running(t);
  const program = await realpath(process.execPath);
  const late = await spawnVmm(
    program,
    ['-e', 'setInterval(() => {}, 1000)', '--', '--directory', directory],
    elsewhere,
  );
  t.after(() => late.kill());
  await writeProcessRecord(directory, { formatVersion: 1, source });
  await endLeftovers({ program, groups: confinement.groups }, binary, directory);
  await late.exited;
});

test('a process that took over a recorded id is left alone', async (t) => {
  const { directory, vmm } = await running(t);
  const identity = { ...vmm.identity, startTime: '1' };
  await writeProcessRecord(directory, { formatVersion: 1, identity, source });
  assert.equal(await reconnectVmm(directory), undefined);
  await endLeftovers(confinement, binary, directory);
  assert.equal(await isAlive(vmm.identity), true);
});

test('a VMM that nobody can talk to is not adopted', async (t) => {
  const { directory, vmm } = await running(t);
  await writeProcessRecord(directory, { formatVersion: 1, identity: vmm.identity, source });
  assert.equal(await reconnectVmm(directory), undefined);
});

test('a VMM that ends while it starts is an error with its last words', async (t) => {
  const { directory } = await running(t);
  await assert.rejects(
    startVmm({
      confinement,
      binary,
      args: ['not-a-duration'],
      cell: { directory, readOnly: [], own: [], kvm: false, shape: { memoryMib: 1, vcpus: 1 }, diskBytes: 0 },
      source,
    }),
    (error: unknown) => error instanceof VmmError && /exited with code 1/.test(error.message),
  );
});

test('a VMM inherits nothing that whoever started the server left open', async (t) => {
  const { directory } = await running(t);
  const secret = await open(path.join(directory, 'secret'), 'w+');
  t.after(() => secret.close());
  const listing = spawn(
    confinement.program,
    ['filter', '--directory', directory, '--', await realpath('/bin/ls'), '/proc/self/fd'],
    { stdio: ['ignore', 'pipe', 'inherit', secret.fd, 'ignore', secret.fd] },
  );
  assert.ok(listing.stdout !== null);
  // The last one is that of the directory itself.
  assert.equal(await text(listing.stdout), '0\n1\n2\n3\n');
});
