/** Commands that make microVMs of others, and that store what one is and return to it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type CliFixture, startCliFixture } from './fixture.ts';

let fixture: CliFixture;
let id: string;

before(async () => {
  fixture = await startCliFixture((_request, response) => response.end());
  id = await fixture.launch('stateful');
});

after(() => fixture.close());

async function output(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await fixture.dormouse(...words);
  assert.equal(code, 0, stderr);
  return stdout;
}

test('fork makes as many as asked for, and waits for them where told to', async () => {
  const [child, ...others] = (await output('fork', id)).trimEnd().split('\n');
  assert.match(child ?? '', /^microvm-\S+ {2}PENDING {2}https:\/\/\S+$/);
  assert.deepEqual(others, []);
  const children = JSON.parse(await output('fork', id, '-n', '3', '--wait', '--json')) as readonly {
    readonly microvmId: string;
    readonly state: string;
  }[];
  assert.equal(new Set(children.map(({ microvmId }) => microvmId)).size, 3);
  assert.deepEqual(new Set(children.map(({ state }) => state)), new Set(['RUNNING']));
});

test('fork tells of one that does not start, and of the others', async (t) => {
  const { microvms } = fixture.server.services;
  const { fork } = microvms;
  t.after(() => Object.assign(microvms, { fork }));
  Object.assign(microvms, {
    fork: async (...input: Parameters<typeof fork>) => {
      const children = await fork.apply(microvms, input);
      await microvms.terminate(children[1]?.microvmId ?? '');
      return children;
    },
  });
  const { code, stdout, stderr } = await fixture.dormouse('fork', id, '-n', '2', '--wait');
  assert.equal(code, 1);
  assert.match(stdout, /^microvm-\S+ {2}RUNNING .*\nmicrovm-\S+ {2}TERMINATED .*\n$/);
  assert.match(stderr, /microvm-\S+ did not start: Success\./);
});

test('checkpoints are made, listed, returned to and deleted by name', async () => {
  const checkpoint = (await output('checkpoint', id, '--name', 'before')).trimEnd();
  assert.match(checkpoint, /^checkpoint-/);
  assert.match(await output('checkpoints', id), new RegExp(`^${checkpoint} +before +4\\.0 KiB +\\d+s$`, 'm'));
  assert.equal(await output('rollback', id, 'before'), `${id} is RUNNING\n`);
  const unknown = await fixture.dormouse('rollback', id, 'never');
  assert.deepEqual([unknown.code, /never/.test(unknown.stderr)], [1, true]);
  assert.equal(await output('checkpoints', id, '--delete', 'before'), '');
  assert.deepEqual(JSON.parse(await output('checkpoints', id, '--json')), []);
});

test('commit makes a version of the own image, or of another', async () => {
  assert.match(await output('commit', id), /:microvm-image:stateful 2\.0\n$/);
  assert.match(await output('commit', id, '--image', 'prepared'), /:microvm-image:prepared \d+\.0\n$/);
});

test('a lease is set and ended, and what else keeps a microVM awake is set and shown', async () => {
  assert.match(await output('lease', id, '10m'), new RegExp(`^${id} stays awake until 20\\d\\d-`));
  assert.equal(await output('lease', id), '');
  assert.equal(await output('activity', id, 'exec,cpu=20%'), '');
  assert.match(await output('activity', id), /running commands and shells, a CPU busy for 20 % or more/);
  assert.equal(await output('activity', id, 'bytes'), '');
  assert.equal(await output('activity', id), 'bytes through its endpoint\n');
});
