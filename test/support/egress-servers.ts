import assert from 'node:assert/strict';
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';

/** What guests reach in tests. */

/** This machine's own address on its network: out of reach unless the server is told otherwise. */
const friend = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find((entry) => entry.family === 'IPv4' && !entry.internal)?.address;
assert.ok(friend, 'this machine has no network interface');
export const host = friend;

/** Listens on a free port until the test ends. */
export async function listen(
  t: { after(close: () => void): void },
  onConnection: (socket: Socket) => void,
  address = host,
): Promise<Server & { port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on('error', () => undefined));
    onConnection(socket);
  });
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, address);
  await once(server, 'listening');
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

/** Answers every query with one A record, or with so many that only TCP carries them. */
export async function startResolver(atEnd: {
  after(close: () => void): void;
}): Promise<{ datagrams: DatagramSocket; streams: Server; port: number }> {
  const streams = await listen(
    atEnd,
    (socket) => {
      socket.once('data', (framed: Buffer) => {
        const answer = records(framed.subarray(2), 100);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.end(Buffer.concat([length, answer]));
      });
    },
    '127.0.0.1',
  );
  const datagrams = createSocket('udp4');
  datagrams.bind(streams.port, '127.0.0.1');
  await once(datagrams, 'listening');
  datagrams.on('message', (query, from) => {
    const answer = records(query, 1);
    if (query.includes('many')) answer.writeUInt8(answer.readUInt8(2) | 0x02, 2);
    datagrams.send(answer, from.port, from.address);
  });
  return { datagrams, streams, port: streams.port };
}

/** An answer to a query for an A record: as many addresses as wanted. */
function records(query: Buffer, count: number): Buffer {
  const questionEnd = query.indexOf(0, 12) + 5;
  const isAddress = query.readUInt16BE(questionEnd - 4) === 1;
  const head = Buffer.from(query.subarray(0, questionEnd));
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(isAddress ? count : 0, 6);
  head.writeUInt32BE(0, 8);
  const answers = Array.from({ length: isAddress ? count : 0 }, (_, index) =>
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 83, 0, index + 1]),
  );
  return Buffer.concat([head, ...answers]);
}
