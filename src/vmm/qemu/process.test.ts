import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { VmmError } from '../vmm.ts';
import { vmFiles } from './arguments.ts';
import {
  endWhenDisconnected,
  identify,
  isAlive,
  killProcess,
  processUsage,
  readProcessRecord,
  spawnVmm,
  watchVmm,
  writeProcessRecord,
} from './process.ts';

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-process-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

async function sleeper(t: TestContext) {
  const vmm = await spawnVmm('/bin/sleep', ['1000'], await temporaryDirectory(t));
  t.after(() => vmm.kill());
  return vmm;
}

test('a VMM runs in a session of its own and knows nothing of our environment', async (t) => {
  process.env.DORMOUSE_TEST_SECRET = 'hush';
  t.after(() => delete process.env.DORMOUSE_TEST_SECRET);
  const { identity } = await sleeper(t);
  assert.equal(await readFile(`/proc/${identity.pid}/environ`, 'utf8'), '');
  const stat = await readFile(`/proc/${identity.pid}/stat`, 'utf8');
  const session = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3];
  assert.equal(session, String(identity.pid));
});

test('a recycled process id is neither alive nor killed', async (t) => {
  const { identity } = await sleeper(t);
  for (const recycled of [
    { ...identity, startTime: '1' },
    { ...identity, bootId: 'another boot' },
  ]) {
    assert.equal(await isAlive(recycled), false);
    await killProcess(recycled);
    assert.equal(await isAlive(identity), true);
  }
});

test('a zombie counts as gone', async (t) => {
  // The shell becomes a program that never reaps the child it inherits.
  const parent = spawn('/bin/sh', ['-c', 'sleep 1000 & echo $!; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.after(() => parent.kill('SIGKILL'));
  const [line] = (await once(parent.stdout, 'data')) as [Buffer];
  const identity = await identify(Number(line.toString()));
  assert.ok(identity);
  await killProcess(identity);
  assert.equal(await isAlive(identity), false);
});

test('the end of a child carries its last words, made harmless', async (t) => {
  const directory = await temporaryDirectory(t);
  const vmm = await spawnVmm(
    '/bin/sh',
    ['-c', 'read never < /dev/null; echo first; printf "la\\033[2Jst\\n" >&2; sleep 0.01; exit 3'],
    directory,
  );
  assert.deepEqual(await vmm.exited, { reason: 'the VMM exited with code 3: la?[2Jst' });
  await vmm.kill();
});

test('a program that is not there is an error, not a crash', async (t) => {
  await assert.rejects(spawnVmm('/nonexistent/qemu', [], await temporaryDirectory(t)), VmmError);
});

test('a process that is not ours is watched to its end', async (t) => {
  const { identity } = await sleeper(t);
  const disconnected = Promise.withResolvers<void>();
  const adopted = watchVmm(identity, await temporaryDirectory(t), disconnected.promise);
  process.kill(identity.pid, 'SIGKILL');
  disconnected.resolve();
  assert.deepEqual(await adopted.exited, { reason: 'the VMM is gone' });
});

test('a VMM that can no longer be controlled is ended', async (t) => {
  const vmm = await sleeper(t);
  await endWhenDisconnected(vmm, Promise.resolve());
  assert.match((await vmm.exited).reason, /SIGKILL/);
  await assert.rejects(processUsage(vmm.identity), VmmError);
});

test('usage is read while the process lives', async (t) => {
  const { identity } = await sleeper(t);
  const usage = await processUsage(identity);
  assert.ok(usage.residentBytes > 0 && usage.proportionalBytes <= usage.residentBytes);
  assert.ok(usage.cpuSeconds >= 0);
});

test('the process record survives a round trip and nonsense is no record', async (t) => {
  const directory = await temporaryDirectory(t);
  assert.equal(await readProcessRecord(directory), undefined);
  const record = {
    formatVersion: 1,
    identity: { pid: 4711, startTime: '99', bootId: 'b' },
    source: { kind: 'snapshot', directory: '/snapshot', id: 'one' },
  } as const;
  await writeProcessRecord(directory, record);
  assert.deepEqual(await readProcessRecord(directory), record);
  for (const text of ['', '{"formatVersion":1}', '{"formatVersion":1,"identity":{"pid":-1}}']) {
    await writeFile(path.join(directory, vmFiles.process), text);
    assert.equal(await readProcessRecord(directory), undefined);
  }
});
