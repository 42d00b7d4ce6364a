import type { Departure } from './departure.ts';
import type { RequestFields } from './fields.ts';
import type { HeaderList } from './headers.ts';
import type { Presence } from './presence.ts';
import type { Refusal } from './refusals.ts';
import type { TokenMemory } from './tokens.ts';
import type { UpstreamResponse } from './upstream.ts';

/** How a request's body is delimited: absent, of a known length, or ended by the stream. */
export type BodyFraming = 'none' | 'streamed' | { readonly length: string };

/** Where a body goes, piece by piece. */
export interface BodySink {
  /** Takes a piece; false asks for no more until told otherwise. */
  write(chunk: Uint8Array): boolean;
  /** The body is complete. */
  finish(trailers: HeaderList): void;
}

/** One request of a client and the way to answer it, whatever the version of HTTP. The sink is the response's. */
export interface Exchange extends BodySink {
  /** What client, application and log know the request by. */
  readonly requestId: string;
  readonly method: string;
  /** Path and query, starting with a slash, or `*`. */
  readonly path: string;
  /** Name the client asked for in the TLS handshake. */
  readonly serverName: string | undefined;
  readonly fields: RequestFields;
  readonly framing: BodyFraming;
  /** Of the client's connection. */
  readonly memory: TokenMemory;
  readonly presence: Presence;
  /** When the client leaves before its response is complete. */
  readonly left: Departure;
  /** Starts the request's body; until then none of it is read. */
  readBody(sink: BodySink): void;
  /** The sink of the request's body takes more again. */
  resumeBody(): void;
  inform(status: number, headers: HeaderList): void;
  /**
   * Sends the response's head.
   * @param requestId added to the headers
   * @param bodyless the response ends with its head
   * @param onDrain called when the client takes more, after `write` returned false
   * @throws when the head cannot be sent in this version of HTTP
   */
  respond(response: UpstreamResponse, requestId: string, bodyless: boolean, onDrain: () => void): void;
  /** Answers in the application's place; what is left of the request's body is not wanted. */
  refuse(refusal: Refusal): void;
  /** Breaks off a response that cannot be completed. */
  abort(): void;
  responded(): boolean;
  /** Calls back once, when the response is complete or the client gone. */
  whenOver(callback: () => void): void;
}
