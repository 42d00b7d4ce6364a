import { type Admission, choosePort, type Doorkeeper } from './admission.ts';
import type { BodySink, Exchange } from './exchange.ts';
import { forwardableTrailers, membersOf, valuesOf } from './headers.ts';
import type { EndpointLimits } from './options.ts';
import { answerFailure, badGateway, RefusedError, refusals } from './refusals.ts';
import { Response } from './response.ts';
import type { Traffic } from './traffic.ts';
import type { UpstreamCall, UpstreamRequest } from './upstream.ts';
import type { Upstreams } from './upstreams.ts';

/** What serving a request takes. */
export interface ProxyContext {
  readonly doorkeeper: Doorkeeper;
  readonly traffic: Traffic;
  readonly upstreams: Upstreams;
  /** Told of requests that begin (1) and are over (-1); not of WebSockets and tunnels. */
  readonly countRequest?: ((microvmId: string, by: 1 | -1) => void) | undefined;
  readonly limits: EndpointLimits;
  /** Told about failures that are not the client's doing. */
  readonly onError: (error: unknown, detail: { readonly requestId: string }) => void;
}

/**
 * Serves one request: refuses it, or passes it to the application and the response back. Never throws. Where
 * everything is known the request is on its way when this returns: a promise a step costs more than the steps.
 */
export function serveExchange(exchange: Exchange, context: ProxyContext): void {
  const { requestId } = exchange;
  try {
    checkHead(exchange, context.limits);
    const admission = context.doorkeeper.admit(exchange, exchange.fields.token);
    const forwarded =
      admission instanceof Promise
        ? admission.then((admitted) => forward(exchange, admitted, requestId, context))
        : forward(exchange, admission, requestId, context);
    forwarded?.catch((error: unknown) => answerFailure(exchange, error, context));
  } catch (error) {
    answerFailure(exchange, error, context);
  }
}

/**
 * Counts a request and its connection against the limits of its microVM and token.
 * @param whenOver registers what is to happen at the end of the request
 * @throws {RefusedError}
 */
export function enter(
  context: Pick<ProxyContext, 'traffic' | 'limits'>,
  { presence }: Pick<Exchange, 'presence'>,
  admission: Admission,
  whenOver: (leave: () => void) => void,
): void {
  const { traffic, limits } = context;
  const { vm, tokenId } = admission;
  const { perToken } = limits;
  const perMicrovm = limits.perMicrovm(vm);
  const ofMicrovm = traffic.enter(vm.microvmId, perMicrovm);
  const ofToken = ofMicrovm && traffic.enter(tokenId, perToken);
  if (!ofMicrovm || !ofToken || !presence.countFor(ofMicrovm, ofToken, { perMicrovm, perToken })) {
    ofMicrovm?.leave();
    ofToken?.leave();
    throw new RefusedError(refusals.rateLimited);
  }
  whenOver(() => {
    ofMicrovm.leave();
    ofToken.leave();
  });
}

/** @throws {RefusedError} for what no client of ours has to send and request smuggling is made of */
export function checkHead(
  request: Pick<Exchange, 'fields' | 'method' | 'path'>,
  limits: Pick<EndpointLimits, 'headerCount'>,
): void {
  const { fields, method, path } = request;
  const headers = fields.list;
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

/**
 * @returns a promise where there is something to wait for
 * @throws {RefusedError}
 */
function forward(
  exchange: Exchange,
  admission: Admission,
  requestId: string,
  context: ProxyContext,
): Promise<void> | undefined {
  const { fields, framing, method, path } = exchange;
  // A shell token opens no port: the service answers 502 (spec section 6).
  if (admission.claims.grant === 'shell') throw new RefusedError(badGateway('BAD_GATEWAY'));
  const port = choosePort(admission, fields.ports, undefined);
  const { microvmId } = admission.vm;
  enter(context, exchange, admission, (leave) => {
    context.countRequest?.(microvmId, 1);
    exchange.whenOver(() => {
      context.countRequest?.(microvmId, -1);
      leave();
    });
  });
  const authority = fields.authority ?? '';
  const request: UpstreamRequest = { method, path, authority, requestId, fields, framing };
  const target = { vm: admission.vm, port };
  const response = new Response(exchange, requestId, context.limits);
  if (exchange.left.happened) return undefined;
  const call = fields.wantsH2
    ? context.upstreams.callH2(target, request, response, exchange.left)
    : context.upstreams.callH1(target, request, response, exchange.left);
  if (call instanceof Promise) return call.then((made) => begin(exchange, made, response));
  begin(exchange, call, response);
  return undefined;
}

function begin(exchange: Exchange, call: UpstreamCall, response: Response): void {
  response.attach(call);
  if (exchange.framing !== 'none') exchange.readBody(requestSink(call, response));
}

/** Where the client's body goes. */
function requestSink(call: UpstreamCall, response: Response): BodySink {
  const attempt = (step: () => boolean): boolean => {
    try {
      return step();
    } catch (error) {
      response.fail(new RefusedError(refusals.malformedRequest, { cause: error }));
      return true;
    }
  };
  return {
    write: (chunk) => attempt(() => call.write(chunk)),
    finish(trailers) {
      attempt(() => {
        call.finish(forwardableTrailers(trailers));
        return true;
      });
    },
  };
}
