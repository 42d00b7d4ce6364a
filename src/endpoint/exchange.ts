import type { Readable, Writable } from 'node:stream';
import type { HeaderList } from './headers.ts';

/** How a request's body is delimited: absent, of a known length, or ended by the stream. */
export type BodyFraming = 'none' | 'streamed' | { readonly length: string };

/** One request of a client and the way to answer it, whatever the version of HTTP. */
export interface Exchange {
  readonly method: string;
  /** Path and query, starting with a slash, or `*`. */
  readonly path: string;
  /** Host name, possibly with a port, the request is for. */
  readonly authority: string | undefined;
  /** Name the client asked for in the TLS handshake. */
  readonly serverName: string | undefined;
  readonly headers: HeaderList;
  readonly framing: BodyFraming;
  readonly body: Readable;
  readonly expectsContinue: boolean;
  /** Where the response's body goes; written to by {@link write}. */
  readonly sink: Writable;
  /** Trailers of the request; complete once `body` has ended. */
  requestTrailers(): HeaderList;
  inform(status: number, headers: HeaderList): void;
  /**
   * Sends the response's head.
   * @param headers without connection-specific ones
   * @param bodyless the response ends with its head
   * @throws when the head cannot be sent in this version of HTTP
   */
  respond(status: number, reason: string, headers: HeaderList, bodyless: boolean): void;
  /** Sends a part of the response's body; false asks to wait for `drain` of the sink. */
  write(chunk: Uint8Array): boolean;
  /** Ends the response after its body. */
  finish(trailers: HeaderList): void;
  /** Answers in the application's place; what is left of the request's body is not wanted. */
  refuse(status: number, headers: HeaderList, body: string): void;
  /** Breaks off a response that cannot be completed. */
  abort(): void;
  /** Aborted when the client leaves before its response is complete. */
  readonly left: AbortSignal;
  responded(): boolean;
}
