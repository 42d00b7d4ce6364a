import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import type { DatagramListener } from '../model/datagrams.ts';
import { type DatagramRelay, type RelayOptions, relayDatagrams, relayLimits } from './relay.ts';

/** A way that was asked for: the test says when it opens, sees what goes in, and answers. */
interface Way {
  readonly answer: DatagramListener;
  readonly signal: AbortSignal;
  readonly taken: string[];
  open(): void;
  fail(): void;
  /** As when the microVM falls asleep. */
  shut(): void;
  closed: boolean;
}

interface Bench {
  readonly relay: DatagramRelay;
  readonly failures: unknown[];
  nextWay(): Promise<Way>;
}

async function setUp(t: TestContext, options: Partial<RelayOptions> = {}): Promise<Bench> {
  const ways: Way[] = [];
  const failures: unknown[] = [];
  let arrived: (() => void) | undefined;
  const relay = await relayDatagrams({
    host: '127.0.0.1',
    port: 0,
    limits: relayLimits,
    allows: () => true,
    onFailure: (error) => failures.push(error),
    async open(answer, signal) {
      const opened = Promise.withResolvers<void>();
      const shut = Promise.withResolvers<void>();
      const way: Way = {
        answer,
        signal,
        taken: [],
        open: opened.resolve,
        fail: () => opened.reject(new Error('asleep for good')),
        shut: shut.resolve,
        closed: false,
      };
      ways.push(way);
      arrived?.();
      await opened.promise;
      return {
        closed: shut.promise,
        send(datagram) {
          way.taken.push(Buffer.from(datagram).toString());
          way.answer(Buffer.from(`got ${Buffer.from(datagram)}`));
          return true;
        },
        close() {
          way.closed = true;
          shut.resolve();
        },
      };
    },
    ...options,
  });
  t.after(() => relay.close());
  return {
    relay,
    failures,
    async nextWay() {
      while (ways.length === 0) {
        await new Promise<void>((resolve) => {
          arrived = resolve;
        });
      }
      const way = ways.shift();
      assert.ok(way);
      return way;
    },
  };
}

async function say(socket: Socket, message: string): Promise<void> {
  await new Promise((resolve) => socket.send(message, resolve));
}

async function connected(t: TestContext, port: number): Promise<Socket> {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

async function heard(socket: Socket, count: number): Promise<string[]> {
  const messages: string[] = [];
  for (; messages.length < count; ) {
    const [message] = (await once(socket, 'message')) as [Buffer];
    messages.push(message.toString());
  }
  return messages;
}

test('what is sent before the way is open waits for it, in order', async (t) => {
  const { relay, nextWay } = await setUp(t);
  const client = await connected(t, relay.port);
  await say(client, 'a');
  const way = await nextWay();
  await say(client, 'b');
  await say(client, 'c');
  const answers = heard(client, 3);
  // What was sent is in the relay's socket by now; a turn of the loop takes it in.
  await new Promise((resolve) => setImmediate(resolve));
  way.open();
  assert.deepEqual(await answers, ['got a', 'got b', 'got c']);
  assert.deepEqual(way.taken, ['a', 'b', 'c']);
});

test('each sender has a way of its own, and hears its own answers', async (t) => {
  const { relay, nextWay } = await setUp(t);
  const clients = [await connected(t, relay.port), await connected(t, relay.port)] as const;
  for (const [index, client] of clients.entries()) {
    await say(client, String(index));
    (await nextWay()).open();
    assert.deepEqual(await heard(client, 1), [`got ${index}`]);
  }
});

test('a sender that is not allowed opens nothing', async (t) => {
  const asked: string[] = [];
  const { relay, nextWay } = await setUp(t, {
    allows(address) {
      asked.push(address);
      return asked.length > 1;
    },
  });
  const client = await connected(t, relay.port);
  await say(client, 'refused');
  await say(client, 'allowed');
  const way = await nextWay();
  way.open();
  assert.deepEqual(await heard(client, 1), ['got allowed']);
  assert.deepEqual(asked, ['127.0.0.1', '127.0.0.1']);
});

test('a way that closed is opened anew for the next datagram', async (t) => {
  const { relay, nextWay } = await setUp(t);
  const client = await connected(t, relay.port);
  await say(client, 'before');
  const first = await nextWay();
  first.open();
  await heard(client, 1);
  first.shut();
  await new Promise((resolve) => setImmediate(resolve));
  await say(client, 'after');
  const second = await nextWay();
  second.open();
  assert.deepEqual(await heard(client, 1), ['got after']);
  assert.deepEqual(first.taken, ['before']);
});

test('a way that cannot be opened is reported, and tried again after a pause', async (t) => {
  const { relay, nextWay, failures } = await setUp(t, { limits: { ...relayLimits, pauseMs: 50 } });
  const client = await connected(t, relay.port);
  await say(client, 'lost');
  (await nextWay()).fail();
  const retry = setInterval(() => client.send('again'), 5);
  t.after(() => clearInterval(retry));
  const second = await nextWay();
  assert.equal(failures.length, 1);
  second.open();
  assert.equal((await heard(client, 1))[0], 'got again');
});

test('a new sender takes the place of the one silent for longest', async (t) => {
  const { relay, nextWay } = await setUp(t, { limits: { ...relayLimits, senders: 2 } });
  const clients = [];
  const ways = [];
  for (const name of ['a', 'b']) {
    const client = await connected(t, relay.port);
    await say(client, name);
    const way = await nextWay();
    way.open();
    await heard(client, 1);
    clients.push(client);
    ways.push(way);
  }
  const [first] = clients;
  assert.ok(first);
  await say(first, 'still here');
  await heard(first, 1);
  const third = await connected(t, relay.port);
  await say(third, 'c');
  (await nextWay()).open();
  await heard(third, 1);
  assert.deepEqual(
    ways.map(({ closed }) => closed),
    [false, true],
  );
});

test('a sender silent for long enough is forgotten, one waiting is told', async (t) => {
  const { relay, nextWay } = await setUp(t, { limits: { ...relayLimits, idleMs: 20 } });
  const client = await connected(t, relay.port);
  await say(client, 'x');
  const { signal } = await nextWay();
  if (!signal.aborted) await once(signal, 'abort');
});

test('what waits is bounded', async (t) => {
  const { relay, nextWay } = await setUp(t, { limits: { ...relayLimits, waitingBytes: 1000 } });
  const client = await connected(t, relay.port);
  await say(client, 'first');
  const way = await nextWay();
  for (let index = 0; index < 50; index += 1) await say(client, 'x'.repeat(200));
  // The port takes datagrams one after another: once this one is seen, so are all before it.
  await say(await connected(t, relay.port), 'last');
  await nextWay();
  const answers = heard(client, 1);
  way.open();
  await answers;
  assert.deepEqual(way.taken, ['first', ...Array(2).fill('x'.repeat(200))]);
});

test('a port that is in use is refused', async (t) => {
  const { relay } = await setUp(t);
  await assert.rejects(
    relayDatagrams({
      host: '127.0.0.1',
      port: relay.port,
      limits: relayLimits,
      allows: () => true,
      open: () => Promise.reject(new Error('never')),
    }),
    { code: 'EADDRINUSE' },
  );
});
