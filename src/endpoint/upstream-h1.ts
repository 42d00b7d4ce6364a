import type { HeaderList } from './headers.ts';
import type { ClientConnection } from './http1/client-connection.ts';
import { RefusedError, refusals } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';

const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * Sends a request over an HTTP/1.1 connection.
 * @throws {RefusedError} the head holds characters HTTP/1.1 has no place for; the connection is then gone
 */
export function callOverH1(
  connection: ClientConnection,
  request: UpstreamRequest,
  events: UpstreamEvents,
): UpstreamCall {
  const { method, path, framing } = request;
  try {
    return connection.send({ method, path, headers: headOf(request), framing }, events);
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
