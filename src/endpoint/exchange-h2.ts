import http2, { type Http2Stream, type ServerHttp2Stream } from 'node:http2';
import { TLSSocket } from 'node:tls';
import { Departure } from './departure.ts';
import type { BodyFraming, Exchange } from './exchange.ts';
import { RequestFields } from './fields.ts';
import { type HeaderList, lowerCaseNames, requestIdHeader, valuesOf } from './headers.ts';
import { serverNameOf } from './server-name.ts';
import type { TokenMemory } from './tokens.ts';

/** The pseudo-headers and headers of an HTTP/2 request. */
export interface H2Head {
  readonly method: string;
  readonly path: string;
  /** Of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined;
  /** Without pseudo-headers; the crumbs of a split cookie joined as HTTP/1.1 wants them. */
  readonly fields: RequestFields;
}

export function readH2Head(rawHeaders: HeaderList): H2Head {
  const pseudo = new Map<string, string>();
  const headers: string[] = [];
  const cookies: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (name.startsWith(':')) pseudo.set(name, value);
    else if (name === 'cookie') cookies.push(value);
    else headers.push(name, value);
  }
  if (cookies.length > 0) headers.push('cookie', cookies.join('; '));
  const hosts = valuesOf(headers, 'host');
  const authority = pseudo.get(':authority') ?? hosts[0];
  const consistent = hosts.every((host) => host.toLowerCase() === authority?.toLowerCase());
  return {
    method: pseudo.get(':method') ?? '',
    path: pseudo.get(':path') ?? '',
    protocol: pseudo.get(':protocol'),
    fields: new RequestFields(headers, consistent ? authority : undefined),
  };
}

/** An exchange over one HTTP/2 stream. */
export function exchangeOverH2(stream: ServerHttp2Stream, head: H2Head, memory: TokenMemory): Exchange {
  const { fields } = head;
  const framing = framingOf(stream, fields.list);
  const left = new Departure();
  let answered = false;
  let trailersIn: HeaderList = [];
  let trailersOut: HeaderList = [];
  stream.on('error', () => undefined);
  stream.once('trailers', (_headers, _flags, rawTrailers) => {
    trailersIn = Array.isArray(rawTrailers) ? rawTrailers : [];
  });
  // An answer may be complete before the request is: the rest of the request is not wanted.
  const endRequest = (): void => {
    if (framing !== 'none' && !stream.readableEnded) stream.close(http2.constants.NGHTTP2_NO_ERROR);
  };
  stream.once('wantTrailers', () => {
    sendTrailers(stream, trailersOut);
    endRequest();
  });
  if (framing === 'none') stream.resume();
  stream.once('close', () => {
    // Node ends the writable side of a stream the client has reset, so that tells nothing.
    if (!answered) left.happen();
  });
  return {
    method: head.method,
    path: head.path,
    serverName: serverNameOfStream(stream),
    fields,
    framing,
    memory,
    left,
    readBody(sink) {
      stream.on('data', (chunk: Uint8Array) => {
        if (!sink.write(chunk)) stream.pause();
      });
      stream.once('end', () => sink.finish(trailersIn));
    },
    resumeBody: () => void stream.resume(),
    inform(status, informational) {
      if (stream.headersSent || stream.destroyed) return;
      stream.additionalHeaders({ ':status': status, ...trailerObject(lowerCaseNames(informational)) });
    },
    respond({ status, fields: { forwardable }, length }, requestId, bodyless, onDrain) {
      answered = bodyless;
      const lines = [':status', String(status), ...lowerCaseNames(forwardable), requestIdHeader, requestId];
      if (length !== undefined && status !== 204) lines.push('content-length', length);
      stream.respond(lines, bodyless ? { endStream: true } : { waitForTrailers: true });
      if (bodyless) endRequest();
      else stream.on('drain', onDrain);
    },
    write: (chunk) => stream.write(chunk),
    finish(trailers) {
      answered = true;
      trailersOut = lowerCaseNames(trailers);
      stream.end();
    },
    refuse(status, list, body) {
      answered = true;
      stream.respond([':status', String(status), ...list]);
      if (head.method === 'HEAD') stream.end();
      else stream.end(body);
      endRequest();
    },
    abort() {
      stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
    },
    responded: () => stream.headersSent,
    whenOver(callback) {
      if (stream.closed) callback();
      else stream.once('close', callback);
    },
  };
}

function serverNameOfStream(stream: ServerHttp2Stream): string | undefined {
  const socket = stream.session?.socket;
  return socket instanceof TLSSocket ? serverNameOf(socket) : undefined;
}

function framingOf(stream: ServerHttp2Stream, headers: HeaderList): BodyFraming {
  const length = valuesOf(headers, 'content-length')[0];
  if (length !== undefined) return { length };
  return stream.endAfterHeaders ? 'none' : 'streamed';
}

/** Sends trailers, or breaks the stream off when HTTP/2 has no words for them. */
export function sendTrailers(stream: Http2Stream, trailers: HeaderList): void {
  try {
    stream.sendTrailers(trailerObject(trailers));
  } catch {
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/** Repeated names become lists, as Node takes them where it takes no flat list. */
function trailerObject(headers: HeaderList): Record<string, string | string[]> {
  const object: Record<string, string | string[]> = Object.create(null);
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = headers[index] ?? '';
    const value = headers[index + 1] ?? '';
    const known = object[name];
    if (known === undefined) object[name] = value;
    else object[name] = Array.isArray(known) ? [...known, value] : [known, value];
  }
  return object;
}
