import { GuestAsleepError } from '../guest/guest-agent.ts';
import type { UnreachableCode } from '../microvms/microvm-service.ts';
import type { Exchange } from './exchange.ts';
import { requestIdHeader } from './headers.ts';

/** An answer made by the proxy itself (spec section 5.5). */
export interface Refusal {
  readonly status: number;
  /** Plain text; empty for every 502. */
  readonly body: string;
  /** Value of `x-aws-proxy-error`. */
  readonly error: string;
  readonly retryAfterSeconds?: number;
}

export const refusals = {
  missingAuthentication: { status: 403, body: 'Request missing authentication', error: 'UNAUTHORIZED' },
  authenticationFailed: { status: 403, body: 'Token authentication failed', error: 'UNAUTHORIZED' },
  portDenied: { status: 403, body: 'Access to port denied', error: 'UNAUTHORIZED' },
  rateLimited: { status: 429, body: 'Rate limit exceeded', error: 'RATE_LIMITED', retryAfterSeconds: 1 },
  /** The texts of 400 are unrecorded. */
  malformedPort: { status: 400, body: 'Malformed port', error: 'BAD_REQUEST' },
  malformedUpgrade: { status: 400, body: 'Malformed upgrade request', error: 'BAD_REQUEST' },
  malformedRequest: { status: 400, body: 'Malformed request', error: 'BAD_REQUEST' },
  requestTimeout: { status: 408, body: 'Request timeout', error: 'BAD_REQUEST' },
  /** More than all the time that a request may take, and no answer has begun. */
  overdue: { status: 504, body: 'Request took too long', error: 'TIMEOUT' },
  headersTooLarge: { status: 431, body: 'Request header fields too large', error: 'BAD_REQUEST' },
  /** The connection was opened for another microVM: a browser tries again on its own connection. */
  misdirected: { status: 421, body: 'Misdirected request', error: 'BAD_REQUEST' },
  unsupportedTransferEncoding: {
    status: 501,
    body: 'Transfer encoding not supported',
    error: 'BAD_REQUEST',
  },
  internal: { status: 500, body: 'Internal error', error: 'INTERNAL' },
  /** Not in the `aws` profile, which has its 502. */
  noRoom: {
    status: 503,
    body: 'The host has no room for the MicroVM at the moment',
    error: 'INSUFFICIENT_CAPACITY',
    retryAfterSeconds: 5,
  },
  /** Waking took too long, or too many already wait; not in the `aws` profile, which has its 502. */
  waking: { status: 503, body: 'The MicroVM is waking up', error: 'MICROVM_WAKING', retryAfterSeconds: 1 },
} as const satisfies Record<string, Refusal>;

/** What a 502 says in words; the service leaves its body empty (spec section 5.5). */
const unreachable: Readonly<Record<UnreachableCode, string>> = {
  NOT_FOUND: 'There is no such MicroVM, or nothing at this path',
  APP_CONNECT_FAILED: 'Nothing listens on this port of the MicroVM',
  BAD_GATEWAY: 'The application gave no answer that can be passed on',
  MICROVM_CONNECT_FAILED: 'The MicroVM has ended, or could not be reached in time',
  MICROVM_SUSPENDED:
    'The MicroVM sleeps, and requests are not to wake it (its idle policy has no autoResumeEnabled)',
  INSUFFICIENT_CAPACITY: 'The host has no room for the MicroVM at the moment',
  SNAPSHOT_DAMAGED: 'What the MicroVM is to continue from is damaged; it stays asleep',
  SNAPSHOT_OUTDATED: 'What the MicroVM is to continue from needs another server; it stays asleep',
};
const putToSleep =
  'The MicroVM was put to sleep while the request was under way; the application goes on with it after the next wake. To keep it awake for requests: dormouse activity VM requests';

/** A shell cannot be started as it was asked for. @param why in words */
export function shellNotStarted(why: string): Refusal {
  return { status: 400, body: `${why}\n`, error: 'SHELL_NOT_STARTED' };
}

export function badGateway(code: UnreachableCode): Refusal {
  return { status: 502, body: '', error: code };
}

/** Whether something was lost because its microVM was put to sleep. */
export function isPutToSleep(error: unknown): boolean {
  return error instanceof Error && (error instanceof GuestAsleepError || isPutToSleep(error.cause));
}

/** A refusal with words for people, where the profile lets a 502 have any. */
export function inWords(error: RefusedError, { explain502 }: { readonly explain502: boolean }): Refusal {
  const { refusal } = error;
  if (!explain502 || refusal.status !== 502 || refusal.body !== '') return refusal;
  const code = refusal.error as UnreachableCode;
  return { ...refusal, body: `${isPutToSleep(error.cause) ? putToSleep : unreachable[code]}\n` };
}

/** Thrown where a request turns out to deserve an answer of our own. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  readonly refusal: Refusal;

  constructor(refusal: Refusal, options?: ErrorOptions) {
    super(refusal.error, options);
    this.refusal = refusal;
  }
}

export function refusalHeaders(refusal: Refusal, requestId: string): string[] {
  const headers = [
    'cache-control',
    'private, no-store',
    'x-aws-proxy-error',
    refusal.error,
    requestIdHeader,
    requestId,
    'content-length',
    String(Buffer.byteLength(refusal.body)),
  ];
  if (refusal.body !== '') headers.push('content-type', 'text/plain');
  if (refusal.retryAfterSeconds !== undefined) headers.push('retry-after', String(refusal.retryAfterSeconds));
  return headers;
}

/** Answers a request that failed before its response began; afterwards it can only be broken off. */
export function answerFailure(
  exchange: Exchange,
  error: unknown,
  context: {
    readonly limits: { readonly explain502: boolean };
    readonly onError: (error: unknown, detail: { readonly requestId: string }) => void;
  },
): void {
  if (exchange.left.happened) return;
  if (!(error instanceof RefusedError)) context.onError(error, { requestId: exchange.requestId });
  if (exchange.responded()) exchange.abort();
  else refuse(exchange, error instanceof RefusedError ? inWords(error, context.limits) : refusals.internal);
}

function refuse(exchange: Exchange, refusal: Refusal): void {
  try {
    exchange.refuse(refusal);
  } catch {
    exchange.abort();
  }
}
