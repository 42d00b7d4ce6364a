/** What a connection costs that does nothing: many WebSockets, opened and left alone. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type tls from 'node:tls';
import type { Contender } from './contenders.ts';
import { connect, type Target } from './load.ts';

/** Handshakes under way at a time. */
const atOnce = 32;
const settleMs = 3000;

/** @returns bytes of resident memory that the members take for each of `count` idle WebSockets, shared evenly */
export async function memoryOfIdleWebSockets(
  members: readonly Pick<Contender, 'target' | 'party'>[],
  count: number,
): Promise<number> {
  const before = await residentBytes(members);
  const sockets: tls.TLSSocket[] = [];
  try {
    for (const { target } of members) {
      let left = Math.ceil(count / members.length);
      await Promise.all(
        Array.from({ length: atOnce }, async () => {
          while (left > 0) {
            left -= 1;
            sockets.push(await openWebSocket(target));
          }
        }),
      );
    }
    await delay(settleMs);
    return ((await residentBytes(members)) - before) / sockets.length;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
}

async function residentBytes(members: readonly Pick<Contender, 'party'>[]): Promise<number> {
  const bytes = await Promise.all(members.map(({ party }) => party.residentBytes()));
  return bytes.reduce((sum, more) => sum + more, 0);
}

async function openWebSocket(target: Target): Promise<tls.TLSSocket> {
  const socket = await connect(target);
  const auth = target.token === undefined ? '' : `X-Aws-Proxy-Auth: ${target.token}\r\n`;
  socket.write(
    `GET / HTTP/1.1\r\nHost: ${target.host}\r\n${auth}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  const [answer] = await once(socket, 'data');
  if (!String(answer).startsWith('HTTP/1.1 101')) throw new Error(String(answer).slice(0, 300));
  socket.on('error', () => undefined);
  return socket as tls.TLSSocket;
}
