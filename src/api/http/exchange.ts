import type { IncomingMessage, ServerResponse } from 'node:http';
import type { SignatureClaim } from '../sigv4/claim.ts';
import type { SignableRequest } from '../sigv4/http-request.ts';

/** What a request turned out to be, for whoever counts requests. Only names from our own tables. */
export interface RequestSubject {
  service: string;
  operation: string;
  /** Its answer goes on for as long as the client likes. */
  streamed: boolean;
}

/** One request and the response to it. */
export interface Exchange {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly request: SignableRequest;
  readonly requestId: string;
  /** Whether it comes from inside a microVM, where nothing is open that is open to this machine. */
  readonly fromGuest: boolean;
  readonly subject: RequestSubject;
  /** Aborted when the client goes away before it has its answer. */
  readonly signal: AbortSignal;
}

/** An exchange whose signature was read but not yet verified. */
export interface ClaimedExchange extends Exchange {
  readonly claim: SignatureClaim;
}
