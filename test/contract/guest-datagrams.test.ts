import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { after, before, beforeEach, describe, it, type TestContext } from 'node:test';
import { type GuestAgent, GuestConnectError } from '../../src/guest/guest-agent.ts';
import { openGuestAgent } from '../../src/guest/session.ts';
import { maximumPayload } from '../../src/guest/wire.ts';
import { type DatagramChannel, longestDatagram } from '../../src/model/datagrams.ts';
import { until } from '../support/until.ts';
import { AgentProcess } from './agent-process.ts';

interface Receiver {
  readonly port: number;
  readonly socket: Socket;
}

/** A UDP server of the guest; without a listener of its own it says back what it hears. */
async function serve(
  context: TestContext,
  address = '127.0.0.1',
  port = 0,
  onDatagram?: (datagram: Buffer) => void,
): Promise<Receiver> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  context.after(() => socket.close());
  socket.on('message', (datagram, from) => {
    if (onDatagram === undefined) socket.send(datagram, from.port, from.address);
    else onDatagram(datagram);
  });
  socket.bind(port, address);
  await once(socket, 'listening');
  return { port: socket.address().port, socket };
}

/** Datagrams that came, and a way to wait for the next. */
class Inbox {
  readonly received: Buffer[] = [];
  #waiting: (() => void) | undefined;

  readonly take = (datagram: Buffer): void => {
    this.received.push(datagram);
    this.#waiting?.();
  };

  async next(): Promise<Buffer> {
    while (this.received.length === 0) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.received.shift() ?? Buffer.alloc(0);
  }
}

describe('datagrams through the real agent', { timeout: 120_000 }, () => {
  let program: AgentProcess;
  let agent: GuestAgent;

  before(async () => {
    program = await AgentProcess.start();
  });
  after(async () => {
    agent?.close();
    await program.stop();
  });
  beforeEach(async () => {
    agent?.close();
    agent = await openGuestAgent(await program.channel(), { helloTimeoutMs: 60_000 });
  });

  async function ask(association: DatagramChannel, inbox: Inbox, datagram: Buffer): Promise<Buffer> {
    assert.equal(association.send(datagram), true);
    return await inbox.next();
  }

  it('keeps the boundaries of datagrams of every size', async (context) => {
    const { port } = await serve(context);
    const inbox = new Inbox();
    const association = await agent.associate(port, inbox.take);
    for (const size of [
      0,
      1,
      1472,
      maximumPayload - 1,
      maximumPayload,
      maximumPayload + 1,
      longestDatagram,
    ]) {
      const sent = randomBytes(size);
      assert.ok((await ask(association, inbox, sent)).equals(sent), `${size} bytes`);
    }
    assert.equal(association.send(Buffer.alloc(longestDatagram + 1)), false);
    association.close();
  });

  it('keeps the order of many, and gives back what it was granted', async (context) => {
    const { port } = await serve(context);
    const inbox = new Inbox();
    const association = await agent.associate(port, inbox.take);
    for (let index = 0; index < 2000; index += 1) {
      const sent = Buffer.alloc(600, index);
      assert.ok((await ask(association, inbox, sent)).equals(sent), `datagram ${index}`);
    }
  });

  it('comes from one address of the guest per association', async (context) => {
    const ports: number[] = [];
    const { port, socket } = await serve(context, '127.0.0.1', 0, () => undefined);
    socket.on('message', (datagram, from) => {
      ports.push(from.port);
      socket.send(datagram, from.port, from.address);
    });
    const inboxes = [new Inbox(), new Inbox()] as const;
    const first = await agent.associate(port, inboxes[0].take);
    const second = await agent.associate(port, inboxes[1].take);
    assert.equal(String(await ask(first, inboxes[0], Buffer.from('a'))), 'a');
    assert.equal(String(await ask(second, inboxes[1], Buffer.from('b'))), 'b');
    assert.equal(String(await ask(first, inboxes[0], Buffer.from('c'))), 'c');
    assert.equal(ports[0], ports[2]);
    assert.notEqual(ports[0], ports[1]);
  });

  it('finds a server that listens on ::1 only, without losing the first datagram', async (context) => {
    const { port } = await serve(context, '::1');
    const inbox = new Inbox();
    const association = await agent.associate(port, inbox.take);
    assert.equal(String(await ask(association, inbox, Buffer.from('six'))), 'six');
  });

  it('takes datagrams for a port where nothing listens, until something does', async (context) => {
    const { port, socket } = await serve(context);
    await new Promise<void>((resolve) => socket.close(() => resolve()));
    context.mock.method(socket, 'close', () => socket);
    const inbox = new Inbox();
    const association = await agent.associate(port, inbox.take);
    for (let round = 0; round < 5; round += 1) assert.equal(association.send(Buffer.from('lost')), true);
    // An answer of the agent comes after what was sent before.
    await agent.stats();
    await serve(context, '127.0.0.1', port);
    assert.equal(String(await ask(association, inbox, Buffer.from('heard'))), 'heard');
  });

  it('drops what finds no room and stalls nothing else', async (context) => {
    const { port } = await serve(context, '127.0.0.1', 0, () => undefined);
    const association = await agent.associate(port, () => undefined);
    const sent = Buffer.alloc(longestDatagram);
    let dropped = 0;
    for (let round = 0; round < 100; round += 1) if (!association.send(sent)) dropped += 1;
    assert.ok(dropped > 90, `${dropped} dropped`);
    await agent.stats();
    // Once the guest has taken what was under way there is room again.
    await until('there is room', () => association.send(sent));
  });

  it('ends with the session, and when it is closed', async (context) => {
    const { port } = await serve(context);
    const closed = await agent.associate(port, () => undefined);
    closed.close();
    await closed.closed;
    assert.equal(closed.send(Buffer.from('x')), false);
    const severed = await agent.associate(port, () => undefined);
    await agent.quiesce();
    await severed.closed;
    assert.equal(severed.send(Buffer.from('x')), false);
  });

  it('leaves room for connections when there are too many', async (context) => {
    const { port } = await serve(context);
    const opened = await Promise.allSettled(
      Array.from({ length: 600 }, () => agent.associate(port, () => undefined)),
    );
    const refused = opened.filter((outcome) => outcome.status === 'rejected');
    assert.equal(refused.length, 600 - 512);
    assert.ok(
      refused.every(({ reason }) => reason instanceof GuestConnectError && reason.errno === 'EMFILE'),
    );
    for (const outcome of opened) if (outcome.status === 'fulfilled') outcome.value.close();
    (await agent.associate(port, () => undefined)).close();
  });
});
