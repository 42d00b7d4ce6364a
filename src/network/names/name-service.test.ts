import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { type TestContext, test } from 'node:test';
import { GuestNetworkError } from '../network-error.ts';
import { createNameService, parseResolvConf } from './name-service.ts';

function message(id: number, flags: number, rest: string): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt8(flags, 2);
  return Buffer.concat([header, Buffer.from(rest)]);
}

/** A resolver on loopback that answers datagrams and streams as told. */
async function resolver(
  t: TestContext,
  answers: {
    readonly datagram: (query: Buffer) => readonly Buffer[];
    readonly stream?: (query: Buffer) => Buffer;
  },
): Promise<{ address: string; port: number }> {
  const tcp = createServer((socket) => {
    socket.on('data', (framed: Buffer) => {
      const answer = answers.stream?.(framed.subarray(2)) ?? Buffer.alloc(0);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      // In pieces, as a network may deliver it.
      for (const byte of Buffer.concat([length, answer])) socket.write(Buffer.of(byte));
    });
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket('udp4');
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  udp.on('message', (query, from) => {
    for (const answer of answers.datagram(query)) udp.send(answer, from.port, from.address);
  });
  t.after(() => {
    tcp.close();
    udp.close();
  });
  return { address: '127.0.0.1', port };
}

test('an answer to another question is not taken', async (t) => {
  const ids = new Set<number>();
  const where = await resolver(t, {
    datagram: (query) => {
      const id = query.readUInt16BE(0);
      ids.add(id);
      return [message(id ^ 1, 0x80, 'forged'), message(id, 0x80, 'true')];
    },
  });
  const names = createNameService([where]);
  for (let count = 0; count < 5; count += 1) {
    const answer = await names.ask(message(7, 0, 'q'));
    assert.equal(answer.subarray(12).toString(), 'true');
    assert.equal(answer.readUInt16BE(0), 7);
  }
  // The guest cannot choose the id that its question goes out with.
  assert.ok(ids.size > 1);
});

test('a truncated answer is asked for again over TCP', async (t) => {
  const where = await resolver(t, {
    datagram: (query) => [message(query.readUInt16BE(0), 0x82, '')],
    stream: (query) => message(query.readUInt16BE(0), 0x80, 'x'.repeat(3000)),
  });
  const answer = await createNameService([where]).ask(message(7, 0, 'q'));
  assert.equal(answer.length, 3012);
});

test('the next resolver is asked when one refuses', async (t) => {
  const where = await resolver(t, { datagram: (query) => [message(query.readUInt16BE(0), 0x80, 'second')] });
  const dead = { address: '127.0.0.1', port: 1 };
  const answer = await createNameService([dead, where]).ask(message(7, 0, 'q'));
  assert.equal(answer.subarray(12).toString(), 'second');
});

test('what is no DNS message is refused', async () => {
  await assert.rejects(createNameService([]).ask(Buffer.alloc(11)), GuestNetworkError);
});

test('resolv.conf is read as resolvers read it', () => {
  assert.deepEqual(
    parseResolvConf(
      '# nameserver 1.1.1.1\nnameserver 9.9.9.9\nsearch example\n nameserver ::1\nnameserver x\n',
    ).map((entry) => entry.address),
    ['9.9.9.9', '::1'],
  );
});
