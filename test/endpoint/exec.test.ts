import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Duplex, PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { WebSocket } from 'ws';
import type { ExecSession, ExecSpec } from '../../src/guest/guest-agent.ts';
import { type Fixture, lookupLoopback, startEndpoint } from './fixture.ts';

const shellIngress = 'arn:aws:lambda:us-east-1:aws:network-connector:aws-network-connector:SHELL_INGRESS';

/** A process that says back on standard output what it hears, until its input ends. */
class EchoProcess implements ExecSession {
  readonly stdio: Duplex;
  readonly stderr = new PassThrough();
  readonly orders: string[] = [];
  readonly closed = Promise.withResolvers<void>();
  readonly #exit = Promise.withResolvers<{ code: number; signal: number }>();
  readonly exit = this.#exit.promise;

  constructor() {
    this.stdio = new Duplex({
      read: () => undefined,
      write: (chunk, _encoding, done) => {
        this.stdio.push(chunk);
        done();
      },
      final: (done) => {
        this.stderr.end('done');
        this.stdio.push(null);
        this.#exit.resolve({ code: 3, signal: 0 });
        done();
      },
    });
  }

  resize(columns: number, rows: number): void {
    this.orders.push(`${columns}x${rows}`);
  }

  signal(signal: number): void {
    this.orders.push(`signal ${signal}`);
  }

  close(): void {
    this.closed.resolve();
  }
}

async function connect(t: TestContext, fixture: Fixture): Promise<WebSocket> {
  const token = await fixture.tokens.mint(fixture.vm.microvmId, 'shell', 5);
  const socket = new WebSocket(`wss://${fixture.host}:${fixture.port}/dormouse/v1/exec`, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, 'x-aws-proxy-auth': token },
  });
  t.after(() => socket.terminate());
  await once(socket, 'open');
  return socket;
}

function start(t: TestContext, exec: (spec: ExecSpec) => Promise<ExecSession>): Promise<Fixture> {
  return startEndpoint(t, {
    exec: (_microvmId, spec) => exec(spec),
    vm: { ingressNetworkConnectors: [shellIngress] },
  });
}

test('a command gets its input and control, and gives both outputs and how it ended', async (t) => {
  const process = new EchoProcess();
  const specs: ExecSpec[] = [];
  const fixture = await start(t, async (spec) => {
    specs.push(spec);
    return process;
  });
  const socket = await connect(t, fixture);
  const messages: string[] = [];
  socket.on('message', (data: Buffer, isBinary) =>
    messages.push(isBinary ? `${data[0]}:${data.subarray(1)}` : String(data)),
  );
  socket.send(JSON.stringify({ argv: ['cat'], env: { A: 'b' }, workdir: '/tmp' }));
  socket.send(Buffer.from('hello'));
  socket.send('{"type":"resize","columns":100,"rows":30}');
  socket.send('{"type":"signal","signal":2}');
  socket.send('{"type":"eof"}');
  const [code] = await once(socket, 'close');
  assert.equal(code, 1000);
  assert.deepEqual(messages.slice(0, -1).sort(), ['1:hello', '2:done']);
  assert.equal(messages.at(-1), '{"type":"exit","code":3,"signal":0}');
  assert.deepEqual(process.orders, ['100x30', 'signal 2']);
  assert.deepEqual(specs[0]?.argv, ['cat']);
  assert.equal(specs[0]?.env?.A, 'b');
  assert.equal(specs[0]?.workdir, '/tmp');
  assert.equal(specs[0]?.pty, undefined);
});

test('a command that cannot be run, and one that is none, are answered with an error', async (t) => {
  const fixture = await start(t, async () => {
    throw Object.assign(new Error('cannot run nothing: ENOENT'), { code: 'ENOENT' });
  });
  for (const first of ['{"argv":["nothing"]}', '{"argv":[]}', '{"argv":["a\\u0000"]}', 'ls']) {
    const socket = await connect(t, fixture);
    socket.send(first);
    const [message] = await once(socket, 'message');
    assert.equal(JSON.parse(String(message)).type, 'error');
    assert.equal((await once(socket, 'close'))[0], 1011);
  }
});

test('what is wrong with a command is said', async (t) => {
  const fixture = await start(t, async () => assert.fail('it was run'));
  const wrong: Readonly<Record<string, object>> = {
    "the command's workdir must be an absolute path": { workdir: 'tmp' },
    "the command's user must not be empty": { user: '' },
    "the command's argv must hold the name of a program": { argv: [] },
    "the command's pty must not be there with detach": { detach: true, pty: { columns: 80, rows: 24 } },
  };
  for (const [message, members] of Object.entries(wrong)) {
    const socket = await connect(t, fixture);
    socket.send(JSON.stringify({ argv: ['true'], ...members }));
    const [answer] = await once(socket, 'message');
    assert.deepEqual(JSON.parse(String(answer)), { type: 'error', message, code: 'EINVAL' });
  }
});

test('a command that is too long for a message is refused as such', async (t) => {
  const fixture = await start(t, async () => assert.fail('it was run'));
  const socket = await connect(t, fixture);
  socket.on('error', () => undefined);
  socket.send(JSON.stringify({ argv: ['echo', '\u0001'.repeat(1_200_000)] }));
  assert.equal((await once(socket, 'close'))[0], 1009);
});

test('a command is left behind where that is asked for', async (t) => {
  const process = new EchoProcess();
  const specs: ExecSpec[] = [];
  const fixture = await start(t, async (spec) => {
    specs.push(spec);
    process.stdio.resume().end();
    return process;
  });
  const socket = await connect(t, fixture);
  socket.send(JSON.stringify({ argv: ['sleep', '9'], detach: true }));
  await once(socket, 'close');
  assert.equal(specs[0]?.detach, true);
});

test('a client that leaves ends its command', async (t) => {
  const process = new EchoProcess();
  const fixture = await start(t, async () => process);
  const socket = await connect(t, fixture);
  socket.send('{"argv":["cat"]}');
  socket.send(Buffer.from('x'));
  await once(socket, 'message');
  socket.terminate();
  await process.closed.promise;
});
