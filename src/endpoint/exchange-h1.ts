import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import type { BodyFraming, Exchange } from './exchange.ts';
import { type HeaderList, membersOf, pairsOf, valuesOf } from './headers.ts';

/** An exchange over HTTP/1.1 as parsed by Node. */
export function exchangeOverH1(request: IncomingMessage, response: ServerResponse): Exchange {
  const headers: HeaderList = request.rawHeaders;
  const framing = framingOf(headers);
  const leaving = new AbortController();
  let pendingHead: NodeJS.Immediate | undefined;
  response.once('close', () => {
    if (!response.writableFinished) leaving.abort(new Error('the client has left'));
  });
  // Without a listener an error on a connection that is going away would end the process.
  request.on('error', ignore);
  response.on('error', ignore);
  const authority = valuesOf(headers, 'host');
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    authority: authority.length === 1 ? authority[0] : undefined,
    serverName: serverNameOf(request),
    headers,
    framing,
    body: request,
    expectsContinue: membersOf(headers, 'expect').some((value) => value.toLowerCase() === '100-continue'),
    sink: response,
    left: leaving.signal,
    requestTrailers: () => request.rawTrailers,
    inform(status, informational) {
      if (request.httpVersion === '1.0' || response.headersSent) return;
      if (status === 100) response.writeContinue();
      else response.writeInformation(status, informational);
    },
    respond(status, reason, list, bodyless) {
      if (/^[\t\x20-\x7e]+$/.test(reason)) response.writeHead(status, reason, [...list]);
      else response.writeHead(status, [...list]);
      if (bodyless) response.end();
      // Mostly the body is there already: head and body then leave in one packet.
      else pendingHead = setImmediate(() => response.flushHeaders());
    },
    write(chunk) {
      clearImmediate(pendingHead);
      return response.write(chunk);
    },
    finish(trailers) {
      clearImmediate(pendingHead);
      if (trailers.length > 0) response.addTrailers(pairsOf(trailers));
      response.end();
    },
    refuse(status, list, body) {
      // A body is not read to its end only to keep the connection.
      const closing = framing !== 'none' && !request.complete;
      response.writeHead(status, closing ? [...list, 'connection', 'close'] : [...list]);
      response.end(body);
    },
    abort() {
      clearImmediate(pendingHead);
      response.destroy();
    },
    responded: () => response.headersSent,
  };
}

export function serverNameOf(request: IncomingMessage): string | undefined {
  const name = request.socket instanceof TLSSocket ? request.socket.servername : undefined;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

function framingOf(headers: HeaderList): BodyFraming {
  if (valuesOf(headers, 'transfer-encoding').length > 0) return 'streamed';
  const length = valuesOf(headers, 'content-length')[0];
  return length === undefined ? 'none' : { length };
}

function ignore(): void {}
