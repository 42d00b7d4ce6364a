import { requestIdHeader } from './headers.ts';
import type { ClientConnection } from './http1/client-connection.ts';
import { isFieldValue, MalformedMessage } from './http1/grammar.ts';
import { requestLine } from './http1/head.ts';
import { RefusedError, refusals } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';

const methodsWithBody: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH']);

/**
 * Sends a request over an HTTP/1.1 connection.
 * @param onUnheard takes the place of a failure: the application closed the connection before it said anything
 * @throws {RefusedError} the head holds characters HTTP/1.1 has no place for; the connection is then gone
 */
export function callOverH1(
  connection: ClientConnection,
  request: UpstreamRequest,
  events: UpstreamEvents,
  onUnheard?: (error: Error) => void,
): UpstreamCall {
  const { method, framing } = request;
  try {
    return connection.send({ method, head: headText(request), framing }, events, { onUnheard });
  } catch (error) {
    connection.destroy();
    throw new RefusedError(refusals.malformedRequest, { cause: error });
  }
}

/** The head the application gets (spec section 5.3). */
function headText({ method, path, authority, fields, framing, requestId }: UpstreamRequest): string {
  if (!isFieldValue(authority)) throw new MalformedMessage('the authority');
  let text = `${requestLine(method, path)}Host: ${authority}\r\n${fields.text}${requestIdHeader}: ${requestId}\r\n`;
  if (framing === 'streamed') text += 'Transfer-Encoding: chunked\r\n';
  else if (framing !== 'none') text += `Content-Length: ${framing.length}\r\n`;
  else if (methodsWithBody.has(method)) text += 'Content-Length: 0\r\n';
  if (fields.expectsContinue) text += 'Expect: 100-continue\r\n';
  if (fields.takesTrailers) return `${text}TE: trailers\r\nConnection: keep-alive, TE\r\n\r\n`;
  return `${text}Connection: keep-alive\r\n\r\n`;
}
