import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type CliFixture, startCliFixture } from './fixture.ts';

const program = fileURLToPath(new URL('../../bin/dormouse', import.meta.url));
const imageArn = 'arn:aws:lambda:us-east-1:123456789012:microvm-image:web';

let fixture: CliFixture;

before(async () => {
  fixture = await startCliFixture((_request, response) => response.end());
});

after(async () => {
  await fixture.close();
});

async function emit(microvmId: string | null, to: string, reason: string | null): Promise<void> {
  await fixture.server.events.transaction((_transaction, tell) =>
    tell(1_764_000_000_250, {
      subject: microvmId === null ? 'image' : 'microvm',
      microvmId,
      imageArn,
      imageVersion: null,
      buildId: null,
      from: 'RUNNING',
      to,
      reason,
    }),
  );
}

test('events lists what happened, and follows what happens', async () => {
  await emit('microvm-1', 'TERMINATED', 'Container Stopped\u001b[2J with Exit Code: 1');
  await emit(null, 'DELETED', null);
  const { stdout, code } = await fixture.dormouse('events');
  assert.equal(code, 0);
  assert.equal(
    stdout,
    '2025-11-24T16:00:00.250Z  1  microvm  microvm-1  RUNNING → TERMINATED  Container Stopped with Exit Code: 1\n' +
      '2025-11-24T16:00:00.250Z  2  image  web  RUNNING → DELETED\n',
  );
  const { stdout: json } = await fixture.dormouse('events', '--json', '--image', 'web', '--type', 'image.*');
  assert.equal((JSON.parse(json) as { type: string }).type, 'image.deleted');

  const { PATH = '', HOME = '' } = process.env;
  const follower = spawn(program, ['events', '-f', '--json', '--after', '1'], {
    env: { PATH, HOME, DORMOUSE_DATA_DIR: fixture.dataDirectory },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: follower.stdout })[Symbol.asyncIterator]();
  assert.equal((JSON.parse((await lines.next()).value ?? '') as { sequence: number }).sequence, 2);
  await emit('microvm-2', 'SUSPENDED', null);
  assert.equal((JSON.parse((await lines.next()).value ?? '') as { to: string }).to, 'SUSPENDED');
  const exited = once(follower, 'exit');
  follower.kill('SIGINT');
  await exited;
});

test('webhooks are made, listed, resumed and deleted', async () => {
  const created = await fixture.dormouse('webhooks', 'create', 'http://127.0.0.1:1/', '--type', 'microvm.*');
  assert.equal(created.code, 0);
  const id = created.stdout.trim();
  assert.match(id, /^webhook-/);
  assert.match(created.stderr, /not shown again: whsec_/);
  const listed = await fixture.dormouse('webhooks', 'list');
  assert.match(
    listed.stdout,
    new RegExp(`${id} +ACTIVE +0 +0 +0 +- +microvm\\.\\* +http://127\\.0\\.0\\.1:1/`),
  );
  assert.equal((await fixture.dormouse('webhooks', 'resume', id)).stdout, `${id} is active\n`);
  assert.equal((await fixture.dormouse('webhooks', 'delete', id)).stdout, `${id} is deleted\n`);
  const missing = await fixture.dormouse('webhooks', 'delete', id);
  assert.deepEqual([missing.code, missing.stderr.includes(`Webhook not found: ${id}`)], [1, true]);
});
