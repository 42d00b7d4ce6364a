import type { Readable, Writable } from 'node:stream';
import type { BodyFraming } from './exchange.ts';
import type { HeaderList } from './headers.ts';

/** A request as the application in the guest is to see it. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  /** Without host, framing and connection headers. */
  readonly headers: HeaderList;
  readonly framing: BodyFraming;
  readonly expectsContinue: boolean;
  /** The client takes trailers (`te: trailers`). */
  readonly takesTrailers: boolean;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly reason: string;
  readonly headers: HeaderList;
  /** Value of content-length, when the application gave one. */
  readonly length: string | undefined;
  /** The response ended with its head: no body, no trailers. */
  readonly bodyless: boolean;
  readonly body: Readable;
  /** Complete once `body` has ended. */
  trailers(): HeaderList;
}

export interface UpstreamEvents {
  inform(status: number, headers: HeaderList): void;
  respond(response: UpstreamResponse): void;
  /** The exchange broke; after {@link respond} its body is cut short. Called once at most. */
  fail(error: Error): void;
}

/** One request on its way to the application. */
export interface UpstreamCall {
  /** Where the request's body goes. */
  readonly sink: Writable;
  finish(trailers: HeaderList): void;
  /** Gives the request up; no event follows. */
  abort(): void;
}
