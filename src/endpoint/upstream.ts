import type { BodyFraming, BodySink } from './exchange.ts';
import type { Fields, RequestFields } from './fields.ts';
import type { HeaderList } from './headers.ts';

/** A request as the application in the guest is to see it. */
export interface UpstreamRequest {
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly requestId: string;
  /** As the client sent them. */
  readonly fields: RequestFields;
  readonly framing: BodyFraming;
}

export interface UpstreamResponse {
  readonly status: number;
  readonly reason: string;
  /** As the application sent them. */
  readonly fields: Fields;
  /** Value of content-length, when the application gave one. */
  readonly length: string | undefined;
  /** The response ended with its head: no body, no trailers. */
  readonly bodyless: boolean;
  /** The first piece of the body comes at once: the head can wait for it. */
  readonly bodyFollows: boolean;
}

/** What becomes of a request. Nothing follows `finish` and `fail`. */
export interface UpstreamEvents extends BodySink {
  /** The call that the events come from from now on: the request was sent again. */
  attach(call: UpstreamCall): void;
  inform(status: number, headers: HeaderList): void;
  /** Its body goes to the sink that this is, unless it is bodyless: `finish` is then not called. */
  respond(response: UpstreamResponse): void;
  /** The application takes more of the request's body. */
  drain(): void;
  /** The exchange broke; after {@link respond} its body is cut short. */
  fail(error: Error): void;
}

/** One request on its way to the application; the sink is for the request's body. */
export interface UpstreamCall extends BodySink {
  /** The client takes more of the response's body. */
  resume(): void;
  /** Gives the request up; no event follows. */
  abort(): void;
}
