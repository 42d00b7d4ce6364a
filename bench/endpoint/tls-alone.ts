/**
 * What TLS alone costs in Node: a server that answers requests of the benchmark from memory, with nothing behind
 * it. No proxy in Node can be faster.
 */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import tls from 'node:tls';

const block = Buffer.alloc(64 * 1024, 'dormouse');

/** @returns the port */
export async function startTlsAlone(cert: string, key: string): Promise<number> {
  const server = tls.createServer({ cert, key, noDelay: true }, serve);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A download of as many bytes as the path says, an upload of as many as announced, or a WebSocket that is silent. */
function serve(socket: Socket): void {
  socket.on('error', () => undefined);
  socket.once('data', (chunk: Buffer) => {
    const text = chunk.toString('latin1');
    const end = text.indexOf('\r\n\r\n') + 4;
    const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
    if (/\r\nupgrade: websocket\r\n/i.test(text)) socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n');
    else if (length !== undefined) receive(socket, Number(length) - (chunk.length - end));
    else send(socket, Number(/^GET \/(\d+)/.exec(text)?.[1] ?? 0));
  });
}

function send(socket: Socket, bytes: number): void {
  let left = bytes;
  const more = (): void => {
    while (left > 0) {
      const chunk = left < block.length ? block.subarray(0, left) : block;
      left -= chunk.length;
      if (!socket.write(chunk)) return;
    }
    socket.end();
  };
  socket.on('drain', more);
  socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${bytes}\r\nConnection: close\r\n\r\n`);
  more();
}

function receive(socket: Socket, bytes: number): void {
  let left = bytes;
  socket.on('data', (chunk: Buffer) => {
    left -= chunk.length;
    if (left === 0) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  });
}
