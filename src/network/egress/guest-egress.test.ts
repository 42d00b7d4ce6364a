import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { duplexPair, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { connect } from 'node:tls';
import { systemClock } from '../../model/clock.ts';
import { readEgressPolicy } from '../../model/egress-policy.ts';
import type { EgressHandler } from '../../model/guest-egress.ts';
import { createGuestNetwork } from '../guest-network.ts';
import { createEgressPolicy, type EgressPolicy } from './egress-policy.ts';
import { createGuestEgress } from './guest-egress.ts';
import { ToldAddresses } from './told-addresses.ts';

/** Standard query for an A record of a name of two labels. */
function query(first: string, second: string): Buffer {
  const labels = [first, second].flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
}

/** Answers a query with one address. */
function answerWith(address: readonly number[]): (asked: Buffer) => Promise<Buffer> {
  return async (asked) => {
    const head = Buffer.from(asked);
    head.writeUInt16BE(0x8180, 2);
    head.writeUInt16BE(1, 6);
    return Buffer.concat([head, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, ...address])]);
  };
}

/** What becomes of a connection: `accepted`, or the errno it is refused with. */
function outcomeOf(handler: EgressHandler, address: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  handler.onConnection({
    address,
    port,
    signal: new AbortController().signal,
    accept: () => {
      resolve('accepted');
      return new PassThrough();
    },
    refuse: resolve,
  });
  return promise;
}

function egress(allow: readonly string[], deny: readonly string[], address: readonly number[]) {
  const rules = readEgressPolicy({ allow, deny, default: 'deny' });
  return createGuestEgress({
    policy: () => createEgressPolicy(rules),
    names: { ask: answerWith(address) },
    told: new ToldAddresses(),
  });
}

const codeOf = (message: Buffer | undefined): number => (message?.readUInt8(3) ?? 0xff) & 0x0f;

test('only names of the policy are answered', async () => {
  const guest = egress(['*.example'], ['bad.example'], [8, 8, 8, 8]);
  assert.equal(codeOf(await guest.onQuery(query('good', 'example'))), 0);
  assert.equal(codeOf(await guest.onQuery(query('bad', 'example'))), 5);
  assert.equal(codeOf(await guest.onQuery(query('good', 'other'))), 5);
});

test('updates, notices and transfers are refused and reach no name server', async () => {
  const asked: Buffer[] = [];
  const refused: string[] = [];
  const guest = createGuestEgress({
    policy: () => createEgressPolicy(readEgressPolicy({ allow: [], deny: [], default: 'allow' })),
    names: {
      async ask(message) {
        asked.push(message);
        return message;
      },
    },
    told: new ToldAddresses(),
    onRefused: (kind, what) => refused.push(`${kind} ${what}`),
  });
  const update = query('good', 'example');
  update.writeUInt8(5 << 3, 2);
  const transfer = query('good', 'example');
  transfer.writeUInt8(252, transfer.length - 3);
  assert.equal(codeOf(await guest.onQuery(update)), 5);
  assert.equal(codeOf(await guest.onQuery(transfer)), 5);
  assert.deepEqual(asked, []);
  assert.equal(refused.length, 2);
});

test('an allowed name that leads to a denied one is not answered, and what was refused is told', async () => {
  const refused: string[] = [];
  const alias = [3, ...Buffer.from('bad'), 7, ...Buffer.from('example'), 0];
  const rules = readEgressPolicy({ allow: ['*.example'], deny: ['bad.example'], default: 'deny' });
  const guest = createGuestEgress({
    policy: () => createEgressPolicy(rules),
    names: {
      ask: async (asked) => {
        const head = Buffer.from(asked);
        head.writeUInt16BE(0x8180, 2);
        head.writeUInt16BE(1, 6);
        const record = [0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, alias.length, ...alias];
        return Buffer.concat([head, Buffer.from(record)]);
      },
    },
    told: new ToldAddresses(),
    onRefused: (kind, target) => refused.push(`${kind} ${target}`),
  });
  assert.equal(codeOf(await guest.onQuery(query('good', 'example'))), 5);
  assert.equal(codeOf(await guest.onQuery(query('good', 'other'))), 5);
  assert.equal(await outcomeOf(guest, '8.8.8.8', 53), 'EACCES');
  assert.deepEqual(refused, ['name bad.example', 'name good.other', 'connection 8.8.8.8:53']);
});

test('an address is refused until it was told for an allowed name', async (t) => {
  const server = createServer((socket) => socket.end());
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // Loopback answers stand for an attack by re-binding: the name opens nothing there.
  const attacked = egress(['*.example'], [], [127, 0, 0, 1]);
  assert.equal(codeOf(await attacked.onQuery(query('rebind', 'example'))), 0);
  assert.equal(await outcomeOf(attacked, '127.0.0.1', port), 'EACCES');
  const named = egress([`127.0.0.1:${port}`], [], [127, 0, 0, 1]);
  assert.equal(await outcomeOf(named, '127.0.0.1', port), 'accepted');

  const told = new ToldAddresses();
  const rules = readEgressPolicy({ allow: ['*.example'], deny: [], default: 'deny' });
  const names = { ask: answerWith([8, 8, 8, 8]) };
  const judged: (readonly string[])[] = [];
  const policy = {
    ...createEgressPolicy(rules),
    allows: (_address: string, _port: number, known: readonly string[]) => {
      judged.push(known);
      return false;
    },
  };
  const guest = createGuestEgress({ policy: () => policy, names, told });
  await outcomeOf(guest, '8.8.8.8', 443);
  await guest.onQuery(query('good', 'example'));
  await outcomeOf(guest, '8.8.8.8', 443);
  assert.deepEqual(judged, [[], ['good.example']]);
});

test('TLS over an address that was told for a name has to be for an allowed name', async (t) => {
  const received: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (data: Buffer) => {
      received.push(data);
      socket.end('seen');
    });
  });
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  // As for a public address: open by its name alone.
  const policy: EgressPolicy = {
    judgesNames: true,
    resolves: () => true,
    deniesName: () => false,
    allows: (_address, _port, names) => names.includes('good.example'),
    allowsServer: (_address, _port, name) => name === 'good.example',
  };
  const refused: string[] = [];
  const guest = createGuestEgress({
    policy: () => policy,
    names: { ask: answerWith([127, 0, 0, 1]) },
    told: new ToldAddresses(),
    onRefused: (_kind, target) => refused.push(target),
  });
  assert.equal(await outcomeOf(guest, '127.0.0.1', port), 'EACCES');
  await guest.onQuery(query('good', 'example'));

  /** Lets a TLS client in the guest begin, until its connection is over: nobody here speaks TLS. */
  const shakeHands = async (servername: string): Promise<void> => {
    const [inside, outside] = duplexPair();
    guest.onConnection({
      address: '127.0.0.1',
      port,
      signal: new AbortController().signal,
      accept: () => outside,
      refuse: (errno) => inside.destroy(new Error(errno)),
    });
    outside.once('close', () => inside.destroy());
    const client = connect({ socket: inside, servername });
    client.on('error', () => undefined);
    await new Promise((resolve) => client.once('close', resolve));
  };
  await shakeHands('good.example');
  assert.equal(received.length, 1);
  await shakeHands('other.example');
  assert.equal(received.length, 1);
  assert.deepEqual(refused, [`127.0.0.1:${port}`, 'other.example']);
});

test('a change of rules holds for the next connection of a guest that is attached already', async (t) => {
  const server = createServer((socket) => socket.end());
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  let rules = [readEgressPolicy({ allow: [], deny: [], default: 'deny' })];
  const network = createGuestNetwork({
    names: { ask: answerWith([8, 8, 8, 8]) },
    allowed: [],
    connectors: { rulesOf: () => rules },
    metadata: { forGuest: () => () => undefined },
    api: (stream) => stream.destroy(),
    clock: systemClock,
  });
  const attached: EgressHandler[] = [];
  network.attach({ onEgress: (handler) => void attached.push(handler) }, ['arn']);
  const [guest] = attached;
  assert.ok(guest);
  assert.equal(await outcomeOf(guest, '127.0.0.1', port), 'EACCES');
  rules = [readEgressPolicy({ allow: ['127.0.0.1'], deny: [], default: 'deny' })];
  assert.equal(await outcomeOf(guest, '127.0.0.1', port), 'accepted');
  rules = [];
  assert.equal(await outcomeOf(guest, '127.0.0.1', port), 'EACCES');
});
