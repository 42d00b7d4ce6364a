import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { until } from '../support/until.ts';
import { childrenOf } from './processes.ts';
import { run, type Step } from './step.ts';

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-runner-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

/** Node's runner on these test files, its output kept out of this test's. */
async function runner(directory: string, files: Readonly<Record<string, string>>): Promise<Step> {
  const paths = await Promise.all(
    Object.entries(files).map(async ([name, text]) => {
      const file = path.join(directory, name);
      await writeFile(file, `import { test } from 'node:test';\n${text}`);
      return file;
    }),
  );
  const output = path.join(directory, 'output');
  const reporter = ['--test-reporter=tap', `--test-reporter-destination=${output}`];
  // Node's runner runs nothing when it finds itself within a test.
  const node = ['--unset=NODE_TEST_CONTEXT', process.execPath];
  return { name: 'step', command: 'env', arguments: [...node, '--test', ...reporter, ...paths] };
}

const passes = `test('passes', () => undefined);`;

/** Starts a program, says so in a file, and never lets go. */
const spins = (directory: string) => `
  import { spawn } from 'node:child_process';
  import { renameSync, writeFileSync } from 'node:fs';
  test('spins', () => {
    const { pid } = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    writeFileSync('${directory}/pid.new', String(pid));
    renameSync('${directory}/pid.new', '${directory}/pid');
    for (;;);
  });`;

const minute = 60_000;
const patient = { fileMs: 10 * minute, lookMs: 50, onOverdue: () => assert.fail() };

async function sleeps(directory: string): Promise<boolean> {
  try {
    const pid = await readFile(path.join(directory, 'pid'), 'utf8');
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).startsWith('sleep');
  } catch {
    return false;
  }
}

test('a file that spins is killed with what it started, and the others pass', {
  timeout: minute,
}, async (t) => {
  const directory = await scratch(t);
  const step = await runner(directory, { 'a.test.ts': passes, 'b.test.ts': spins(directory) });
  const { signal } = new AbortController();
  const killed: string[] = [];
  const onOverdue = (file: string) => killed.push(path.basename(file));
  assert.equal(await run(step, directory, { fileMs: 10_000, lookMs: 50, onOverdue, signal }), false);
  assert.deepEqual(killed, ['b.test.ts']);
  const output = await readFile(path.join(directory, 'output'), 'utf8');
  assert.match(output, /^# pass 1$/m);
  assert.match(output, /^# fail 1$/m);
  await until('what it started is gone', async () => !(await sleeps(directory)));
});

test('steps that are in time pass, and a failed one fails', { timeout: minute }, async (t) => {
  const directory = await scratch(t);
  const { signal } = new AbortController();
  const good = await runner(directory, { 'a.test.ts': passes });
  assert.equal(await run(good, directory, { ...patient, signal }), true);
  const bad = await runner(directory, { 'a.test.ts': `test('fails', () => { throw new Error('no'); });` });
  assert.equal(await run(bad, directory, { ...patient, signal }), false);
  await assert.rejects(run(good, directory, { ...patient, signal: AbortSignal.abort() }), {
    name: 'AbortError',
  });
});

test('a step that is told to end does', { timeout: minute }, async (t) => {
  const directory = await scratch(t);
  const step = await runner(directory, { 'a.test.ts': spins(directory) });
  const ending = new AbortController();
  const done = run(step, directory, { ...patient, signal: ending.signal });
  await until('the test runs', () => sleeps(directory));
  ending.abort();
  assert.equal(await done, false);
  await until('what it started is gone', async () => !(await sleeps(directory)));
  const own = await childrenOf(process.pid);
  assert.deepEqual(
    own.filter(({ argv }) => argv.includes('--test')),
    [],
  );
});
