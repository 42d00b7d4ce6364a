import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Exchange } from './exchange.ts';
import { exchangeOverH2, type H2Head } from './exchange-h2.ts';
import { type HeaderList, lowerCaseNames, pairsOf, valuesOf } from './headers.ts';
import type { TokenMemory } from './tokens.ts';

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
  /** Leaves the whole handshake to someone else. Only over HTTP/1.1. */
  readonly handOver?: () => {
    readonly request: IncomingMessage;
    readonly socket: Duplex;
    readonly head: Buffer;
  };
}

export function upgradeOverH2(stream: ServerHttp2Stream, head: H2Head, memory: TokenMemory): UpgradeClient {
  return {
    protocol: head.protocol?.toLowerCase(),
    // The method of the request that an HTTP/1.1 client would have sent.
    exchange: { ...exchangeOverH2(stream, head, memory), method: 'GET', framing: 'none' },
    isWebSocket: valuesOf(head.fields.list, 'sec-websocket-version').join() === '13',
    whenClosed(callback) {
      if (stream.closed) callback();
      else stream.once('close', callback);
    },
    accept(answer) {
      const kept = pairsOf(answer).filter(([name]) => !ofHttp1Only.has(name.toLowerCase()));
      stream.respond([':status', '200', ...lowerCaseNames(kept.flat())]);
      return stream;
    },
  };
}

const ofHttp1Only: ReadonlySet<string> = new Set(['connection', 'upgrade', 'sec-websocket-accept']);

/** The `Sec-WebSocket-Accept` that answers a key (RFC 6455, section 4.2.2). */
export function webSocketAccept(key: string): string {
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}
