import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type Server, TLSSocket } from 'node:tls';
import { StreamDuplex } from './http2/stream-duplex.ts';

/** The TCP connections below TLS, which Node does not tell. */
const carriers = new WeakMap<TLSSocket, Socket>();

/** Remembers what carries each connection of a listener, so that {@link breakOff} can reset it. */
export function noteCarriers(listener: Server): void {
  const handshaking = new Map<string, Socket>();
  const nameOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`;
  listener.on('connection', (socket: Socket) => {
    const name = nameOf(socket);
    handshaking.set(name, socket);
    socket.once('close', () => {
      if (handshaking.get(name) === socket) handshaking.delete(name);
    });
  });
  listener.on('secureConnection', (socket) => {
    const name = nameOf(socket);
    const carrier = handshaking.get(name);
    handshaking.delete(name);
    if (carrier !== undefined) carriers.set(socket, carrier);
  });
}

/**
 * Ends a byte stream with a reset. Raw bytes have no framing of their own: after an orderly close their reader
 * would take what it has for everything (RFC 8441, section 5, for HTTP/2).
 */
export function breakOff(stream: Duplex): void {
  if (stream instanceof StreamDuplex) stream.breakOff();
  else if (stream instanceof TLSSocket) carriers.get(stream)?.resetAndDestroy();
  else if (stream instanceof Socket && !stream.destroyed) stream.resetAndDestroy();
  stream.destroy();
}
