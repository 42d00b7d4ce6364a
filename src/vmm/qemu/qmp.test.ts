import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { isRecord, QmpClient, QmpError, QmpRefusedError } from './qmp.ts';
import { connectUnix, connectUnixWhenReady } from './unix-socket.ts';

const greeting = '{"QMP": {"version": {}, "capabilities": []}}\r\n';

interface Command {
  readonly execute: string;
  readonly id: number;
  readonly arguments?: unknown;
}

/** A socket in a directory whose path alone is longer than a Unix socket's may be. */
async function socketPath(t: TestContext): Promise<string> {
  const root = await mkdtemp(path.join(os.tmpdir(), 'dormouse-qmp-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  const directory = path.join(root, 'x'.repeat(120));
  await mkdir(directory);
  return path.join(directory, 'qmp');
}

/** Plays QEMU: greets, accepts the negotiation and hands every other command to `answer`. */
async function playQemu(
  t: TestContext,
  answer: (command: Command, socket: net.Socket) => void,
): Promise<{ client: QmpClient; peer: net.Socket }> {
  const file = await socketPath(t);
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.write(greeting);
    socket.on('data', (data) => {
      for (const line of data.toString().trim().split('\n')) {
        const command = JSON.parse(line) as Command;
        if (command.execute === 'qmp_capabilities') socket.write(`{"return": {}, "id": ${command.id}}\r\n`);
        else answer(command, socket);
      }
    });
  });
  const previous = process.cwd();
  process.chdir(path.dirname(file));
  server.listen('qmp');
  process.chdir(previous);
  await once(server, 'listening');
  const accepted = once(server, 'connection') as Promise<[net.Socket]>;
  const client = await QmpClient.open(await connectUnix(file));
  const [peer] = await accepted;
  t.after(() => {
    client.close();
    peer.destroy();
    server.close();
  });
  return { client, peer };
}

test('answers are matched by id, whatever order and pieces they come in', async (t) => {
  const waiting: Command[] = [];
  const { client } = await playQemu(t, (command, socket) => {
    waiting.push(command);
    if (waiting.length < 2) return;
    const text = waiting.map(({ execute, id }) => `{"return": "${execute} ä", "id": ${id}}\r\n`).reverse();
    const bytes = Buffer.from(text.join(''));
    const middle = bytes.indexOf(0xc3) + 1;
    socket.write(bytes.subarray(0, middle));
    setImmediate(() => socket.write(bytes.subarray(middle)));
  });
  assert.deepEqual(await Promise.all([client.execute('one'), client.execute('two')]), ['one ä', 'two ä']);
});

test('a refusal carries the command and the reason', async (t) => {
  const { client } = await playQemu(t, ({ id }, socket) =>
    socket.write(`{"error": {"class": "GenericError", "desc": "no such thing"}, "id": ${id}}\n`),
  );
  await assert.rejects(client.execute('cont'), new QmpRefusedError('cont: no such thing'));
});

test('a command that is not answered fails in time and does not harm the next', async (t) => {
  const { client } = await playQemu(t, ({ execute, id }, socket) => {
    if (execute !== 'silent') socket.write(`{"return": {"ok": true}, "id": ${id}}\n`);
  });
  await assert.rejects(client.execute('silent', undefined, 20), /no silent within 20 ms/);
  const answer = await client.execute('next');
  assert.ok(isRecord(answer) && answer.ok === true);
});

test('events reach whoever waits for them', async (t) => {
  const { client, peer } = await playQemu(t, () => undefined);
  const completed = client.waitFor(({ data }) => data.status === 'completed', 5000);
  peer.write('{"event": "MIGRATION", "data": {"status": "active"}}\n{"event": "STOP"}\n');
  peer.write('{"event": "MIGRATION", "data": {"status": "completed"}}\n');
  assert.deepEqual(await completed, { name: 'MIGRATION', data: { status: 'completed' } });
});

for (const [what, bytes] of [
  ['an endless line', Buffer.alloc(1 << 21, 0x20)],
  ['a line that is not JSON', Buffer.from('{"return"\n')],
] as const) {
  test(`${what} ends the session and fails what is pending`, async (t) => {
    const { client } = await playQemu(t, (_command, socket) => socket.write(bytes));
    const event = client.waitFor(() => false, 5000);
    await Promise.all([
      assert.rejects(client.execute('any'), QmpError),
      assert.rejects(event, QmpError),
      client.closed,
    ]);
    await assert.rejects(client.execute('later'), QmpError);
  });
}

test('a lost connection fails what is pending', async (t) => {
  const { client } = await playQemu(t, (_command, socket) => socket.destroy());
  await assert.rejects(client.execute('any'), QmpError);
  await client.closed;
});

test('connecting waits for a listener, and no longer than it is told', async (t) => {
  const file = await socketPath(t);
  const abort = new AbortController();
  const connecting = connectUnixWhenReady(file, abort.signal);
  const reason = new Error('enough');
  abort.abort(reason);
  await assert.rejects(connecting, reason);
});
