/** What a connection costs that does nothing: many WebSockets, opened and left alone. */
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type tls from 'node:tls';
import { connect, type Target } from './load.ts';
import type { Party } from './processes.ts';

/** Handshakes under way at a time. */
const atOnce = 32;
const settleMs = 3000;

/** @returns bytes of resident memory that the party takes for each of `count` idle WebSockets */
export async function memoryOfIdleWebSockets(target: Target, party: Party, count: number): Promise<number> {
  const before = await party.residentBytes();
  const sockets: tls.TLSSocket[] = [];
  try {
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        while (sockets.length < count) sockets.push(await openWebSocket(target));
      }),
    );
    await delay(settleMs);
    return ((await party.residentBytes()) - before) / sockets.length;
  } finally {
    for (const socket of sockets) socket.destroy();
  }
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
