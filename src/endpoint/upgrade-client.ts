import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { Exchange } from './exchange.ts';
import type { HeaderList } from './headers.ts';

/** A client that wants to speak another protocol: HTTP/1.1 upgrade, or extended CONNECT over HTTP/2 (RFC 8441). */
export interface UpgradeClient {
  /** The one protocol asked for, in lower case; undefined when there are several or none. */
  readonly protocol: string | undefined;
  /** The request, for everything that holds for any request, and for answers that refuse the upgrade. */
  readonly exchange: Exchange;
  /** Whether the WebSocket opening handshake is complete and of the one version there is (RFC 6455). */
  readonly isWebSocket: boolean;
  /** Calls back once the connection or stream is gone, whatever it was used for. */
  whenClosed(callback: () => void): void;
  /** Agrees to the upgrade and gives the stream that carries the new protocol. */
  accept(headers: HeaderList): Duplex;
}

/** The `Sec-WebSocket-Accept` that answers a key (RFC 6455, section 4.2.2). */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
