import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import http2 from 'node:http2';
import { Duplex, PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { WebSocket } from 'ws';
import type { Exec } from '../../src/endpoint/shell.ts';
import { ExecError, type ExecSession, type ExecSpec } from '../../src/guest/guest-agent.ts';
import { closeFrame, FrameReader, opcodes, webSocketFrame } from '../support/websocket-frames.ts';
import { ask, type Fixture, h2Session, lookupLoopback, startEndpoint } from './fixture.ts';

const shellIngress = 'arn:aws:lambda:us-east-1:aws:network-connector:aws-network-connector:SHELL_INGRESS';

/** A process that notes what is done to it. */
class FakeProcess implements ExecSession {
  readonly typed = new PassThrough();
  readonly stdio = new Duplex({
    read: () => undefined,
    write: (chunk, _encoding, done) => void this.typed.write(chunk, done),
  });
  readonly stderr = new PassThrough();
  readonly sizes: string[] = [];
  readonly closed = Promise.withResolvers<void>();
  readonly #exit = Promise.withResolvers<{ code: number; signal: number }>();
  readonly exit = this.#exit.promise;

  resize(columns: number, rows: number): void {
    this.sizes.push(`${columns}x${rows}`);
  }

  print(text: string): void {
    this.stdio.push(text);
  }

  signal(): void {}

  close(): void {
    this.closed.resolve();
  }

  end(): void {
    this.stdio.push(null);
    this.#exit.resolve({ code: 0, signal: 0 });
  }
}

function open(fixture: Fixture, path: string, protocols: string[], headers = {}): WebSocket {
  return new WebSocket(`wss://${fixture.host}:${fixture.port}${path}`, protocols, {
    ca: fixture.ca,
    lookup: lookupLoopback,
    headers: { host: fixture.host, ...headers },
  });
}

test('a shell speaks the recorded protocol', async (t) => {
  const started: Array<{ microvmId: string; spec: ExecSpec }> = [];
  const process = new FakeProcess();
  const exec: Exec = async (microvmId, spec) => {
    started.push({ microvmId, spec });
    return process;
  };
  const fixture = await startEndpoint(t, { exec, vm: { ingressNetworkConnectors: [shellIngress] } });
  const token = await fixture.tokens.mint(fixture.vm.microvmId, 'shell', 5);
  const protocols = [
    'lambda-microvms',
    `lambda-microvms.authentication.${token}`,
    'lambda-microvms.port.8022',
  ];
  const socket = open(fixture, '/shell', protocols);
  const [first, isBinary] = await once(socket, 'message');
  assert.equal(isBinary, false);
  assert.match(String(first), /^\{"type":"session_init","session_id":"[0-9a-f-]{36}"\}$/);
  assert.equal(socket.protocol, 'lambda-microvms');
  assert.equal(started[0]?.microvmId, fixture.vm.microvmId);
  assert.deepEqual(started[0]?.spec.pty, { columns: 80, rows: 24 });
  assert.equal(started[0]?.spec.env?.TERM, 'xterm');
  // By number: an image need not have a file that names users.
  assert.equal(started[0]?.spec.user, '0');

  process.print('λ $ ');
  const [prompt, promptIsBinary] = await once(socket, 'message');
  assert.deepEqual([String(prompt), promptIsBinary], ['λ $ ', true]);
  socket.send(Buffer.from('ls\n'));
  assert.equal(String((await once(process.typed, 'data'))[0]), 'ls\n');
  socket.send('{"type":"resize","cols":120,"rows":40}');
  // Text that is no control message is typed.
  for (const text of ['{"type":"resize","cols":0,"rows":40}', '{"type":"other"}', 'pwd\n']) {
    socket.send(text);
    assert.equal(String((await once(process.typed, 'data'))[0]), text);
  }
  assert.deepEqual(process.sizes, ['120x40']);

  process.print('bye');
  process.end();
  assert.equal(String((await once(socket, 'message'))[0]), 'bye');
  const [code, reason] = await once(socket, 'close');
  assert.deepEqual([code, String(reason)], [1000, 'shell exited']);
  await process.closed.promise;
});

test('a shell over HTTP/2, as a browser opens it that has a connection already', async (t) => {
  const process = new FakeProcess();
  const fixture = await startEndpoint(t, {
    exec: async () => process,
    vm: { ingressNetworkConnectors: [shellIngress] },
    limits: {
      perMicrovm: () => ({ connections: 10, concurrent: 1, requestsPerSecond: Number.POSITIVE_INFINITY }),
    },
  });
  const token = await fixture.tokens.mint(fixture.vm.microvmId, 'shell', 5);
  const session = await h2Session(t, fixture);
  const request = {
    ':path': '/shell',
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'https',
    ':authority': fixture.host,
    'sec-websocket-version': '13',
    'sec-websocket-protocol': `lambda-microvms, lambda-microvms.authentication.${token}`,
  };
  const stream = session.request(request);
  const [head] = await once(stream, 'response');
  assert.deepEqual([head[':status'], head['sec-websocket-protocol']], [200, 'lambda-microvms']);
  assert.match(String(head['x-amzn-requestid']), /^[0-9a-f-]{36}$/);
  const frames = new FrameReader(stream);
  assert.match(String((await frames.next()).payload), /"session_init"/);
  process.print('λ $ ');
  assert.deepEqual(await frames.next(), { opcode: opcodes.binary, payload: Buffer.from('λ $ ') });
  stream.write(webSocketFrame({ opcode: opcodes.text, payload: '{"type":"resize","cols":120,"rows":40}' }));
  stream.write(webSocketFrame({ opcode: opcodes.binary, payload: 'ls\n' }));
  assert.equal(String((await once(process.typed, 'data'))[0]), 'ls\n');
  assert.deepEqual(process.sizes, ['120x40']);
  process.end();
  assert.deepEqual(await frames.next(), {
    opcode: opcodes.close,
    payload: Buffer.concat([Buffer.of(1000 >> 8, 1000 & 0xff), Buffer.from('shell exited')]),
  });
  stream.write(closeFrame(1000));
  await assert.rejects(frames.next(), /the stream has ended/);
  // As a server of any connection does, it waits for the client's end of it.
  const closed = once(stream, 'close');
  stream.end();
  await Promise.all([process.closed.promise, closed]);
  assert.equal(stream.rstCode, http2.constants.NGHTTP2_NO_ERROR);

  const another = session.request(request);
  const [status] = await once(another, 'response');
  assert.equal(status[':status'], 200, 'the first does not count any more');
  another.on('error', () => undefined).close(http2.constants.NGHTTP2_CANCEL);
});

test('a shell that cannot be started is refused in words', async (t) => {
  const fixture = await startEndpoint(t, {
    exec: async () => {
      throw new ExecError('ESRCH', 'the image has no user nosuch');
    },
    vm: { ingressNetworkConnectors: [shellIngress] },
  });
  const token = await fixture.tokens.mint(fixture.vm.microvmId, 'shell', 5);
  const socket = open(fixture, '/shell?user=nosuch', [], { 'x-aws-proxy-auth': token });
  const [, response] = (await once(socket, 'unexpected-response')) as [unknown, IncomingMessage];
  assert.deepEqual(
    [response.statusCode, response.headers['x-aws-proxy-error'], await text(response)],
    [400, 'SHELL_NOT_STARTED', 'the image has no user nosuch\n'],
  );
  socket.on('error', () => undefined).terminate();
});

test('a client that leaves ends its shell', async (t) => {
  const process = new FakeProcess();
  const fixture = await startEndpoint(t, {
    exec: async () => process,
    vm: { ingressNetworkConnectors: [shellIngress] },
  });
  const token = await fixture.tokens.mint(fixture.vm.microvmId, 'shell', 5);
  const socket = open(fixture, '/', [], { 'x-aws-proxy-auth': token });
  await once(socket, 'message');
  socket.terminate();
  await process.closed.promise;
});

test('who gets no shell', async (t) => {
  let started = 0;
  const exec: Exec = async () => {
    started += 1;
    return new FakeProcess();
  };
  const fixture = await startEndpoint(t, { exec, vm: { ingressNetworkConnectors: [shellIngress] } });
  const token = await fixture.tokens.mint(fixture.vm.microvmId, 'shell', 5);
  const handshake = (path: string, auth: string): Promise<number> =>
    ask(fixture, {
      path,
      headers: {
        'x-aws-proxy-auth': auth,
        connection: 'upgrade',
        upgrade: 'websocket',
        'sec-websocket-version': '13',
        'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
      },
    }).then(({ status }) => status);
  assert.equal(await handshake('/elsewhere', token), 502);
  assert.equal(await handshake('/shell', fixture.token), 403, 'a port token, and no HTTP ingress');
  assert.equal((await ask(fixture, { path: '/shell', headers: { 'x-aws-proxy-auth': token } })).status, 502);
  const other = await startEndpoint(t, { exec });
  const otherToken = await other.tokens.mint(other.vm.microvmId, 'shell', 5);
  const refused = open(other, '/shell', [], { 'x-aws-proxy-auth': otherToken });
  const [, response] = await once(refused, 'unexpected-response');
  assert.equal(response.statusCode, 403, 'the microVM has no shell ingress');
  refused.on('error', () => undefined).terminate();
  assert.equal(started, 0);
});
