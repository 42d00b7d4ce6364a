import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dormouse, startCliFixture } from './fixture.ts';

let directory: string;

before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-cli-'));
});

after(async () => {
  await rm(directory, { recursive: true });
});

/** A port on which nobody listens. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const commands = 'serve doctor env build images run ps inspect curl logs suspend resume rm'.split(' ');

for (const command of commands) {
  test(`${command} --help has examples`, async () => {
    const { code, stdout } = await dormouse([command, '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /Examples:\n {2}\$ /);
  });
}

const misuses: readonly (readonly string[])[] = [
  [],
  ['unknown'],
  ['run'],
  ['ps', '--unknown'],
  ['run', 'x', '--idle', 'soon'],
  ['build', '.', '--name', 'x', '--hook', 'stop'],
  ['curl', 'x', '-H', 'no colon'],
  ['serve', '--profile', 'other'],
  ['serve', '--port', '70000'],
];

for (const words of misuses) {
  test(`wrong use ends with 2: dormouse ${words.join(' ')}`, async () => {
    const { code, stderr, stdout } = await dormouse(words, { DORMOUSE_DATA_DIR: directory });
    assert.equal(code, 2, stderr);
    assert.equal(stdout, '');
    assert.notEqual(stderr, '');
  });
}

test('without a server it says how to start one', async () => {
  const { code, stderr } = await dormouse(['ps'], { DORMOUSE_DATA_DIR: directory });
  assert.equal(code, 1);
  assert.match(stderr, /No server is known/);
  assert.match(stderr, /npm start/);
});

test('a server that does not answer is named', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const keys = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret', AWS_MAX_ATTEMPTS: '1' };
  for (const words of [['ps'], ['inspect', `microvm-${'0'.repeat(8)}-0000-0000-0000-${'0'.repeat(12)}`]]) {
    const { code, stderr } = await dormouse([...words, '--endpoint-url', url], keys);
    assert.equal(code, 1);
    assert.ok(stderr.includes(`The Dormouse server at ${url} does not answer.`), stderr);
  }
});

test('keys are asked for when a server is named without them', async () => {
  const { code, stderr } = await dormouse(['ps', '--endpoint-url', 'http://127.0.0.1:1']);
  assert.equal(code, 1);
  assert.match(stderr, /AWS_ACCESS_KEY_ID/);
});

test("the server's refusal is told with its type, and a wrong key by its own", async () => {
  const fixture = await startCliFixture((_request, response) => response.end());
  try {
    const refused = await fixture.dormouse('run', 'absent');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /ResourceNotFoundException: No active version found/);
    const wrong = await dormouse(['ps', '--endpoint-url', fixture.server.url], {
      AWS_ACCESS_KEY_ID: 'AKIAWRONG',
      AWS_SECRET_ACCESS_KEY: 'wrong',
    });
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /security token/);
  } finally {
    await fixture.close();
  }
});

test('a directory without a Dockerfile is told before anything is sent', async () => {
  await writeFile(path.join(directory, 'server.json'), '{}');
  const fixture = await startCliFixture((_request, response) => response.end());
  try {
    const { code, stderr } = await fixture.dormouse('build', directory, '--name', 'x');
    assert.equal(code, 1);
    assert.match(stderr, /has no Dockerfile/);
  } finally {
    await fixture.close();
  }
});

test('the program works through symbolic links', async () => {
  const program = fileURLToPath(new URL('../../bin/dormouse', import.meta.url));
  await symlink(program, path.join(directory, 'first'));
  await symlink('first', path.join(directory, 'second'));
  const { stdout } = await promisify(execFile)(path.join(directory, 'second'), ['--version'], { cwd: '/' });
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
});

test('no colours without a terminal', async () => {
  const { stderr } = await dormouse(['ps'], { DORMOUSE_DATA_DIR: path.join(directory, 'none') });
  assert.ok(!stderr.includes('\u001b['));
});
