import { randomUUID } from 'node:crypto';
import { type Admission, choosePort, type Doorkeeper, singleValue } from './admission.ts';
import type { Exchange } from './exchange.ts';
import {
  forwardable,
  forwardableTrailers,
  type HeaderList,
  membersOf,
  requestIdHeader,
  valuesOf,
} from './headers.ts';
import type { EndpointLimits } from './options.ts';
import { badGateway, type Refusal, RefusedError, refusalHeaders, refusals } from './refusals.ts';
import type { Traffic } from './traffic.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest, UpstreamResponse } from './upstream.ts';
import type { Upstreams } from './upstreams.ts';

/** What serving a request takes. */
export interface ProxyContext {
  readonly doorkeeper: Doorkeeper;
  readonly traffic: Traffic;
  readonly upstreams: Upstreams;
  readonly limits: EndpointLimits;
  /** Told about failures that are not the client's doing. */
  readonly onError: (error: unknown, detail: { readonly requestId: string }) => void;
}

/** Serves one request: refuses it, or passes it to the application and the response back. Never rejects. */
export async function serveExchange(exchange: Exchange, context: ProxyContext): Promise<void> {
  const requestId = randomUUID();
  try {
    checkHead(exchange, context.limits);
    const admission = await context.doorkeeper.admit(
      exchange.authority,
      exchange.serverName,
      singleValue(exchange.headers, 'x-aws-proxy-auth'),
    );
    // A shell token opens no port: the service answers 502 (spec section 6).
    if (admission.claims.grant === 'shell') throw new RefusedError(badGateway('BAD_GATEWAY'));
    const port = choosePort(admission, exchange.headers, undefined);
    enter(context, admission, (leave) => exchange.sink.once('close', leave));
    await forward(exchange, admission, port, requestId, context);
  } catch (error) {
    answerFailure(exchange, error, requestId, context);
  }
}

/** Answers a request that failed before its response began; afterwards it can only be broken off. */
export function answerFailure(
  exchange: Exchange,
  error: unknown,
  requestId: string,
  context: Pick<ProxyContext, 'onError'>,
): void {
  if (exchange.left.aborted) return;
  if (!(error instanceof RefusedError)) context.onError(error, { requestId });
  if (exchange.responded()) exchange.abort();
  else refuse(exchange, error instanceof RefusedError ? error.refusal : refusals.internal, requestId);
}

/**
 * Counts a request against the limits of its microVM and token.
 * @param whenOver registers what is to happen at the end of the request
 * @throws {RefusedError}
 */
export function enter(
  context: Pick<ProxyContext, 'traffic' | 'limits'>,
  admission: Admission,
  whenOver: (leave: () => void) => void,
): void {
  const { traffic, limits } = context;
  const { vm, tokenId } = admission;
  if (!traffic.enter(vm.microvmId, limits.perMicrovm(vm))) throw new RefusedError(refusals.rateLimited);
  if (!traffic.enter(tokenId, limits.perToken)) {
    traffic.leave(vm.microvmId);
    throw new RefusedError(refusals.rateLimited);
  }
  whenOver(() => {
    traffic.leave(vm.microvmId);
    traffic.leave(tokenId);
  });
}

/** @throws {RefusedError} for what no client of ours has to send and request smuggling is made of */
export function checkHead(
  request: Pick<Exchange, 'headers' | 'method' | 'path'>,
  limits: Pick<EndpointLimits, 'headerCount'>,
): void {
  const { headers, method, path } = request;
  if (headers.length > limits.headerCount * 2) throw new RefusedError(refusals.headersTooLarge);
  if (!path.startsWith('/') && !(path === '*' && method === 'OPTIONS')) {
    throw new RefusedError(refusals.malformedRequest);
  }
  const codings = membersOf(headers, 'transfer-encoding');
  if (codings.length === 0) return;
  if (valuesOf(headers, 'content-length').length > 0) throw new RefusedError(refusals.malformedRequest);
  if (codings.length > 1 || codings[0]?.toLowerCase() !== 'chunked') {
    throw new RefusedError(refusals.unsupportedTransferEncoding);
  }
}

async function forward(
  exchange: Exchange,
  admission: Admission,
  port: number,
  requestId: string,
  context: ProxyContext,
): Promise<void> {
  const request = upstreamRequest(exchange, requestId);
  const target = { microvmId: admission.vm.microvmId, port };
  const events = responseEvents(exchange, requestId, context, () => call?.abort());
  let call: UpstreamCall | undefined;
  call = wantsH2(exchange.headers)
    ? await context.upstreams.callH2(target, request, events, exchange.left)
    : await context.upstreams.callH1(target, request, events, exchange.left);
  const { abort, finish, sink } = call;
  if (exchange.left.aborted) return abort();
  exchange.left.addEventListener('abort', abort, { once: true });
  if (request.framing === 'none') return;
  exchange.body.pipe(sink, { end: false });
  exchange.body.once('end', () => {
    if (sink.destroyed) return;
    try {
      finish(forwardableTrailers(exchange.requestTrailers()));
    } catch (error) {
      events.fail(new RefusedError(refusals.malformedRequest, { cause: error }));
    }
  });
  // The application may answer before it has read everything; what is left must not hold the connection.
  sink.once('close', () => exchange.body.unpipe(sink).resume());
}

/** The head the application gets (spec section 5.3). */
export function upstreamRequest(exchange: Exchange, requestId: string): UpstreamRequest {
  return {
    method: exchange.method,
    path: exchange.path,
    authority: exchange.authority ?? '',
    headers: [...forwardable(exchange.headers), requestIdHeader, requestId],
    framing: exchange.framing,
    expectsContinue: exchange.expectsContinue,
    takesTrailers: membersOf(exchange.headers, 'te').some((value) => value.toLowerCase() === 'trailers'),
  };
}

/** HTTP/2 to the application when the client asks for it, and for gRPC, which knows nothing else. */
function wantsH2(headers: HeaderList): boolean {
  if (singleValue(headers, 'x-aws-proxy-force-h2')?.trim().toLowerCase() === 'true') return true;
  return /^application\/grpc(?:$|[+; ])/i.test(singleValue(headers, 'content-type') ?? '');
}

/** Carries what the application says back to the client. */
export function responseEvents(
  exchange: Exchange,
  requestId: string,
  context: Pick<ProxyContext, 'limits' | 'onError'>,
  abortCall: () => void,
): UpstreamEvents {
  let informed = 0;
  const fail = (error: unknown): void => {
    abortCall();
    const refused = error instanceof RefusedError || exchange.responded();
    const shown = refused ? error : new RefusedError(badGateway('BAD_GATEWAY'), { cause: error });
    answerFailure(exchange, shown, requestId, { onError: () => undefined });
  };
  /** What one version of HTTP says, another may have no words for. */
  const attempt = (step: () => void): boolean => {
    try {
      step();
      return true;
    } catch (error) {
      fail(error);
      return false;
    }
  };
  return {
    inform(status, headers) {
      informed += 1;
      if (informed > context.limits.informationalResponses) return fail(new Error('too many 1xx responses'));
      if (status === 100 && !exchange.expectsContinue) return;
      attempt(() => exchange.inform(status, forwardable(headers)));
    },
    respond(response) {
      const { body } = response;
      const bodyless = isBodyless(exchange.method, response);
      if (response.status < 200 || response.status > 599) return fail(new Error('impossible status'));
      const head = responseHead(response, requestId);
      if (!attempt(() => exchange.respond(response.status, response.reason, head, bodyless))) return;
      if (bodyless) {
        body.resume();
        return;
      }
      body.on('data', (chunk: Uint8Array) => {
        if (!exchange.write(chunk)) body.pause();
      });
      exchange.sink.on('drain', () => body.resume());
      body.once('end', () => attempt(() => exchange.finish(forwardableTrailers(response.trailers()))));
    },
    fail,
  };
}

function responseHead(response: UpstreamResponse, requestId: string): HeaderList {
  const head = [...forwardable(response.headers), requestIdHeader, requestId];
  if (response.length !== undefined && response.status !== 204) head.push('content-length', response.length);
  return head;
}

function isBodyless(method: string, response: UpstreamResponse): boolean {
  return (
    response.bodyless ||
    method === 'HEAD' ||
    response.status === 204 ||
    response.status === 304 ||
    response.length === '0'
  );
}

export function refuse(exchange: Exchange, refusal: Refusal, requestId: string): void {
  const headers = refusalHeaders(refusal, requestId);
  try {
    exchange.refuse(refusal.status, headers, refusal.body);
  } catch {
    exchange.abort();
  }
}
