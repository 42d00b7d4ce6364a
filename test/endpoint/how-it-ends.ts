import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { type Fixture, rawConnection } from './fixture.ts';

/** How what a client reads ends: in an orderly way, or broken off. */
export async function ending(stream: NodeJS.ReadableStream): Promise<'complete' | 'broken'> {
  const { promise, resolve } = Promise.withResolvers<'complete' | 'broken'>();
  stream.on('error', () => resolve('broken'));
  stream.once('end', () => resolve('complete'));
  stream.once('close', () => resolve('broken'));
  stream.resume();
  return await promise;
}

/** The application learns of it, and nothing of the request is left. */
export async function nothingLeft({ connections, endpoint, errors }: Fixture): Promise<void> {
  for (const connection of connections) if (!connection.closed) await once(connection, 'close');
  assert.equal(endpoint.status().waiting, 0);
  assert.deepEqual(errors, []);
}

/** A tunnel to port 6379 that has been opened. */
export async function openTunnel(fixture: Fixture): Promise<Duplex> {
  const socket = await rawConnection(fixture);
  socket.write(
    `GET /dormouse/v1/tunnel?port=6379 HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n` +
      'Connection: Upgrade\r\nUpgrade: dormouse-tcp\r\n\r\n',
  );
  assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1\.1 101 /);
  return socket;
}
