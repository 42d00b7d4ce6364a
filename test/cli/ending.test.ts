/** How a command ends: with all of what it said, and its own exit status. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { program } from '../support/cli.ts';
import { type CliFixture, dormouse, startCliFixture } from './fixture.ts';

const body = 'so much to say. '.repeat(512 * 1024);

let fixture: CliFixture;
let id: string;

before(async () => {
  fixture = await startCliFixture((request, response) => {
    response.statusCode = request.url === '/teapot' ? 418 : 200;
    response.end(body);
  });
  id = await fixture.launch('talkative');
});

after(() => fixture.close());

function start(...words: readonly string[]) {
  const { PATH = '', HOME = '' } = process.env;
  return spawn(program, words, {
    env: { PATH, HOME, DORMOUSE_DATA_DIR: fixture.dataDirectory },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

test('megabytes into a pipe that is read late arrive whole, and the exit status is kept', {
  timeout: 60_000,
}, async () => {
  const child = start('curl', id, '/teapot', '--json', '--fail');
  const exited = once(child, 'exit');
  // The last that the command has to say, after which nobody reads its remarks. Its output nobody has read so far.
  const remark = await text(child.stderr.take(1));
  assert.match(remark, /answered 418/);
  assert.equal(child.exitCode, null);
  const answer = JSON.parse(await text(child.stdout)) as { body: string };
  assert.equal(answer.body, body);
  assert.deepEqual(await exited, [1, null]);
});

test('a reader that has had enough ends the command quietly', { timeout: 60_000 }, async () => {
  const child = start('curl', id, '/');
  const exited = once(child, 'exit');
  await once(child.stdout, 'readable');
  child.stdout.destroy();
  assert.deepEqual([await text(child.stderr), await exited], ['', [0, null]]);
});

test('Ctrl-C ends a command whose output nobody reads', { timeout: 60_000 }, async () => {
  const child = start('curl', id, '/teapot', '--json', '--fail');
  const exited = once(child, 'exit');
  await once(child.stderr, 'data');
  child.kill('SIGINT');
  assert.deepEqual(await exited, [null, 'SIGINT']);
});

test('a command ends although something is left open in its process', { timeout: 60_000 }, async () => {
  const leftOpen = "import{createServer}from'node:net';createServer().listen(0,'127.0.0.1')";
  const { code, stdout } = await dormouse(['ps', '--json'], {
    DORMOUSE_DATA_DIR: fixture.dataDirectory,
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(leftOpen)}`,
  });
  assert.deepEqual([code, (JSON.parse(stdout) as readonly unknown[]).length], [0, 1]);
});
