import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { buffer, text } from 'node:stream/consumers';
import { after, afterEach, before, beforeEach, describe, it, type TestContext } from 'node:test';
import type { GuestAgent } from '../../src/guest/guest-agent.ts';
import { openGuestAgent } from '../../src/guest/session.ts';
import {
  encodeFrame,
  frame,
  guestMagic,
  helloBytes,
  hostMagic,
  nonceBytes,
  streamKind,
  u32,
} from '../../src/guest/wire.ts';
import { protocolVersion } from '../../src/model/agent-protocol.ts';
import type { EgressConnection, EgressHandler } from '../../src/model/guest-egress.ts';
import { AgentProcess } from './agent-process.ts';

const megabyte = 1024 * 1024;
const helloTimeoutMs = 60_000;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function outcome(socket: Socket): Promise<string> {
  socket.resume();
  return await new Promise((resolve) => {
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
    socket.on('end', () => resolve('ended'));
  });
}

/** The real agent; what comes to its egress port stands for what programs in a guest send elsewhere. */
describe('egress of the guest agent, the real program', { timeout: 120_000 }, () => {
  let program: AgentProcess;
  let port: number;
  let agent: GuestAgent;
  const sockets: Socket[] = [];

  /** A program in the guest that connects. */
  function dialInGuest(): Socket {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    sockets.push(socket);
    return socket;
  }

  function serve(onConnection: (connection: EgressConnection) => void): void {
    agent.onEgress({ onConnection, onQuery: async () => undefined });
  }

  before(async () => {
    port = await freePort();
    program = await AgentProcess.start(port);
  });
  after(async () => {
    agent.close();
    await program.stop();
  });
  beforeEach(async () => {
    agent = await openGuestAgent(await program.channel(), { helloTimeoutMs });
  });
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy();
    agent.close();
  });

  it('names the destination and carries much data both ways', async () => {
    const destinations: string[] = [];
    serve((connection) => {
      destinations.push(`${connection.address}:${connection.port}`);
      const stream = connection.accept();
      stream.pipe(stream);
    });
    const sent = randomBytes(4 * megabyte);
    const socket = dialInGuest();
    socket.end(sent);
    assert.ok((await buffer(socket)).equals(sent));
    assert.deepEqual(destinations, [`127.0.0.1:${port}`]);
  });

  it('passes on a half-close and goes on delivering', async () => {
    serve((connection) => {
      const stream = connection.accept();
      stream.resume().on('end', () => stream.end('after your end'));
    });
    const socket = dialInGuest();
    socket.end('request');
    assert.equal(await text(socket), 'after your end');
  });

  it('resets a connection that is refused', async () => {
    serve((connection) => connection.refuse('EACCES'));
    assert.equal(await outcome(dialInGuest()), 'ECONNRESET');
  });

  it('carries resets both ways', async () => {
    serve((connection) => connection.accept().destroy());
    assert.equal(await outcome(dialInGuest()), 'ECONNRESET');

    const seen = Promise.withResolvers<string>();
    serve((connection) => {
      const stream = connection.accept();
      stream.on('error', (error: NodeJS.ErrnoException) => seen.resolve(error.code ?? '')).resume();
      stream.write('ready');
    });
    const socket = dialInGuest();
    await once(socket, 'data');
    socket.resetAndDestroy();
    assert.equal(await seen.promise, 'ECONNRESET');
  });

  it('serves 200 connections at once beside the streams of the host', async () => {
    serve((connection) => {
      const stream = connection.accept();
      stream.pipe(stream);
    });
    const answers = Array.from({ length: 200 }, async (_, index) => {
      const socket = dialInGuest();
      socket.end(`connection ${index}`);
      return await text(socket);
    });
    assert.deepEqual((await agent.appStatus()).state, 'not-started');
    assert.deepEqual(
      await Promise.all(answers),
      answers.map((_, index) => `connection ${index}`),
    );
  });

  it('offers no more than 512 connections at once, and the next when one has ended', async () => {
    const offered: EgressConnection[] = [];
    const full = Promise.withResolvers<void>();
    const next = Promise.withResolvers<void>();
    serve((connection) => {
      offered.push(connection);
      if (offered.length === 512) full.resolve();
      if (offered.length === 513) next.resolve();
    });
    for (let index = 0; index < 520; index += 1) dialInGuest().on('error', () => undefined);
    await full.promise;
    // Had there been more, they would have come before this answer.
    await agent.stats();
    assert.equal(offered.length, 512);
    offered[0]?.refuse('ECONNREFUSED');
    await next.promise;
  });

  it('keeps a connection that finds no host until one comes', async () => {
    agent.close();
    const socket = dialInGuest();
    await once(socket, 'connect');
    socket.end('early');
    agent = await openGuestAgent(await program.channel(), { helloTimeoutMs });
    serve((connection) => {
      const stream = connection.accept();
      stream.pipe(stream);
    });
    assert.equal(await text(socket), 'early');
  });

  it('resets every connection when it quiesces, answered or not', async () => {
    const aborted = Promise.withResolvers<void>();
    const offered = Promise.withResolvers<void>();
    let count = 0;
    serve((connection) => {
      count += 1;
      if (count === 1) {
        connection.accept().on('error', () => undefined);
      } else {
        connection.signal.addEventListener('abort', () => aborted.resolve());
        offered.resolve();
      }
    });
    const outcomes = [outcome(dialInGuest()), outcome(dialInGuest())];
    await offered.promise;
    await agent.quiesce();
    assert.deepEqual(await Promise.all(outcomes), ['ECONNRESET', 'ECONNRESET']);
    await aborted.promise;
  });

  it('asks the host about names and answers from where it was asked', async () => {
    const asked: string[] = [];
    agent.onEgress({
      onConnection: (connection) => connection.refuse('EACCES'),
      onQuery: async (query) => {
        asked.push(query.toString());
        return query.toString() === 'silence' ? undefined : Buffer.from(`answer to ${query}`);
      },
    });
    const asker = createSocket('udp4');
    asker.send('silence', port, '127.0.0.1');
    asker.send('question', port, '127.0.0.1');
    const [answer, from] = (await once(asker, 'message')) as [Buffer, { address: string; port: number }];
    asker.close();
    assert.deepEqual([answer.toString(), from.address, from.port], ['answer to question', '127.0.0.1', port]);
    assert.deepEqual(asked, ['silence', 'question']);
  });

  it('survives arbitrary frames of the host on streams of the guest', async () => {
    agent.close();
    for (let round = 0; round < 40; round++) {
      const channel = await program.channel();
      channel.on('error', () => undefined).resume();
      channel.write(Buffer.concat([hostMagic, u32(protocolVersion), randomBytes(16)]));
      const waiting = [dialInGuest(), dialInGuest()];
      await Promise.all(
        waiting.map((socket) =>
          once(
            socket.on('error', () => undefined),
            'connect',
          ),
        ),
      );
      const noise = Array.from({ length: 200 }, (_, index) => {
        const [type = 0, size = 0] = randomBytes(2);
        return encodeFrame(2 * (index % 160), 10 + (type % 12), randomBytes(size % 2 === 0 ? 4 : size));
      }).filter((bytes) => bytes.readUInt32LE(0) !== 0);
      channel.end(Buffer.concat(noise));
      await once(channel, 'close');
    }
    agent = await openGuestAgent(await program.channel(), { helloTimeoutMs });
    assert.equal((await agent.appStatus()).state, 'not-started');
  });
});

describe('a hostile guest', () => {
  const openings: readonly (readonly [string, Buffer])[] = [
    ['an empty opening', Buffer.alloc(0)],
    ['an opening of a kind that is the host’s', Buffer.concat([Buffer.of(streamKind.exec), u32(1)])],
    ['a destination cut short', Buffer.concat([Buffer.of(streamKind.egressTcp), u32(1), Buffer.of(4, 1, 2)])],
    ['an endless query', Buffer.concat([Buffer.of(streamKind.dns), u32(0), Buffer.alloc(4097)])],
  ];
  for (const [name, payload] of openings) {
    it(`loses its session for ${name}`, async (t) => {
      const guest = await hostileGuest(t, (socket) => socket.write(encodeFrame(2, frame.open, payload)));
      await guest.closed;
    });
  }

  it('loses its session for opening a stream twice', async (t) => {
    const open = encodeFrame(
      2,
      frame.open,
      Buffer.concat([Buffer.of(streamKind.egressTcp), u32(1), Buffer.of(4, 1, 2, 3, 4, 80, 0)]),
    );
    const guest = await hostileGuest(t, (socket) => socket.write(Buffer.concat([open, open])), {
      onConnection: () => undefined,
      onQuery: async () => undefined,
    });
    await guest.closed;
  });
});

/** A session with something that greets as an agent does and then says what it likes. */
async function hostileGuest(
  t: TestContext,
  misbehave: (socket: Socket) => void,
  handler?: EgressHandler,
): Promise<GuestAgent> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (hello: Buffer) => {
      const nonce = hello.subarray(helloBytes - nonceBytes, helloBytes);
      const info = encodeFrame(0, frame.info, Buffer.concat([Buffer.alloc(9), Buffer.from('hostile')]));
      socket.write(Buffer.concat([guestMagic, u32(protocolVersion), nonce, info]));
      socket.once('data', () => misbehave(socket));
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const transport = connect((server.address() as AddressInfo).port, '127.0.0.1');
  const agent = await openGuestAgent(transport, { helloTimeoutMs });
  if (handler !== undefined) agent.onEgress(handler);
  // Any request tells it to begin.
  await assert.rejects(agent.stats());
  return agent;
}
