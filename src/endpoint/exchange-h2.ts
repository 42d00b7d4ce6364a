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

/** @param last fields of the request before on the connection; used again when they are the same */
export function readH2Head(rawHeaders: HeaderList, last?: RequestFields): H2Head {
  let [method, path, named, protocol]: (string | undefined)[] = [];
  const headers: string[] = [];
  const cookies: string[] = [];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const value = rawHeaders[index + 1] ?? '';
    if (!name.startsWith(':')) {
      if (name === 'cookie') cookies.push(value);
      else headers.push(name, value);
    } else if (name === ':method') method = value;
    else if (name === ':path') path = value;
    else if (name === ':authority') named = value;
    else if (name === ':protocol') protocol = value;
  }
  if (cookies.length > 0) headers.push('cookie', cookies.join('; '));
  const fields = fieldsOf(headers, named, last);
  return { method: method ?? '', path: path ?? '', protocol, fields };
}

function fieldsOf(
  headers: HeaderList,
  named: string | undefined,
  last: RequestFields | undefined,
): RequestFields {
  const hosts = valuesOf(headers, 'host');
  const authority = named ?? hosts[0];
  const consistent = hosts.every((host) => host.toLowerCase() === authority?.toLowerCase());
  const known = consistent ? authority : undefined;
  const same =
    last?.authority === known &&
    last?.list.length === headers.length &&
    last.list.every((entry, index) => entry === headers[index]);
  return same ? last : new RequestFields(headers, known);
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
  // An answer may be complete before the request is: the rest of the request is not wanted.
  const endRequest = (): void => {
    if (framing !== 'none' && !stream.readableEnded) stream.close(http2.constants.NGHTTP2_NO_ERROR);
  };
  /** Bytes to come of a response of a known length, which has no trailers. */
  let awaited: number | undefined;
  if (framing === 'none') {
    stream.resume();
  } else {
    stream.once('trailers', (_headers, _flags, rawTrailers) => {
      trailersIn = Array.isArray(rawTrailers) ? rawTrailers : [];
    });
  }
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
      if (bodyless) {
        stream.respond(lines, { endStream: true });
        endRequest();
        return;
      }
      stream.on('drain', onDrain);
      if (length !== undefined) awaited = Number(length);
      stream.respond(lines, { waitForTrailers: length === undefined });
      if (length !== undefined) return;
      stream.once('wantTrailers', () => {
        sendTrailers(stream, trailersOut);
        endRequest();
      });
    },
    write(chunk) {
      if (awaited === undefined) return stream.write(chunk);
      awaited -= chunk.length;
      if (awaited > 0) return stream.write(chunk);
      if (awaited < 0) throw new Error('a body longer than announced');
      // The end of the stream is in the frame of its last bytes.
      answered = true;
      stream.end(chunk);
      return true;
    },
    finish(trailers) {
      answered = true;
      trailersOut = lowerCaseNames(trailers);
      if (awaited !== 0) stream.end();
      if (awaited !== undefined) endRequest();
    },
    refuse(status, list, body) {
      answered = true;
      stream.respond([':status', String(status), ...list]);
      if (head.method === 'HEAD') stream.end();
      else stream.end(body);
      endRequest();
    },
    abort() {
      // Unlike `close` this does not end the body as if it were complete.
      stream.destroy(new Error('the response broke off'));
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
