import http from 'node:http';
import type { Duplex } from 'node:stream';
import { type HeaderList, pairsOf, valuesOf } from './headers.ts';
import type { EndpointLimits } from './options.ts';
import { RefusedError, refusals } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';

const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * Sends a request over an HTTP/1.1 connection.
 * @param release takes the connection back when it can serve another request
 */
export function callOverH1(
  connection: Duplex,
  request: UpstreamRequest,
  events: UpstreamEvents,
  limits: Pick<EndpointLimits, 'headerBytes' | 'headerCount'>,
  release: (connection: Duplex) => void,
): UpstreamCall {
  let over = false;
  let responded = false;
  const fail = (error: Error): void => {
    if (over) return;
    over = true;
    connection.destroy();
    events.fail(error);
  };
  const upstream = startH1Request(connection, request.method, request.path, headOf(request), limits);
  upstream.on('error', fail);
  upstream.on('information', (info) => {
    if (!over) events.inform(info.statusCode, info.rawHeaders);
  });
  upstream.once('upgrade', () => fail(new Error('a change of protocol nobody asked for')));
  upstream.once('close', () => {
    if (!responded) fail(new Error('the connection was closed'));
  });
  upstream.on('response', (response) => {
    if (over) return;
    responded = true;
    if (response.rawHeaders.length > limits.headerCount * 2) return fail(new Error('too many headers'));
    response.on('error', fail);
    response.once('end', () => {
      over = true;
      // A body that is still on its way would be taken for the next request.
      if (!upstream.writableFinished) connection.destroy();
    });
    events.respond({
      status: response.statusCode ?? 0,
      reason: response.statusMessage ?? '',
      headers: response.rawHeaders,
      length: valuesOf(response.rawHeaders, 'content-length')[0],
      bodyless: false,
      body: response,
      trailers: () => response.rawTrailers,
    });
  });
  connection.once('free', () => release(connection));
  if (request.framing === 'none') upstream.end();
  else upstream.flushHeaders();
  return {
    sink: upstream,
    finish(trailers) {
      if (trailers.length > 0) upstream.addTrailers(pairsOf(trailers));
      upstream.end();
    },
    abort() {
      over = true;
      upstream.destroy();
      connection.destroy();
    },
  };
}

/** @throws {RefusedError} the head holds characters HTTP/1.1 has no place for; the connection is then gone */
export function startH1Request(
  connection: Duplex,
  method: string,
  path: string,
  headers: HeaderList,
  limits: Pick<EndpointLimits, 'headerBytes'>,
): http.ClientRequest {
  try {
    const upstream = http.request({
      method,
      path,
      headers,
      createConnection: () => connection,
      maxHeaderSize: limits.headerBytes,
      insecureHTTPParser: false,
    });
    // Node would drop what is beyond its own limit without a word.
    upstream.maxHeadersCount = 0;
    // Without an agent Node gives every connection up after one response.
    upstream.shouldKeepAlive = true;
    return upstream;
  } catch (error) {
    connection.destroy();
    throw new RefusedError(refusals.malformedRequest, { cause: error });
  }
}

function headOf(request: UpstreamRequest): HeaderList {
  const head = ['Host', request.authority, ...request.headers];
  if (request.framing === 'streamed') head.push('Transfer-Encoding', 'chunked');
  else if (request.framing !== 'none') head.push('Content-Length', request.framing.length);
  else if (methodsWithBody.has(request.method)) head.push('Content-Length', '0');
  if (request.expectsContinue) head.push('Expect', '100-continue');
  if (request.takesTrailers) head.push('TE', 'trailers');
  head.push('Connection', request.takesTrailers ? 'keep-alive, TE' : 'keep-alive');
  return head;
}
