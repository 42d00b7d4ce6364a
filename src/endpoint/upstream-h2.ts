import http2, { type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import { Fields } from './fields.ts';
import { type HeaderList, lowerCaseNames, pairsOf, requestIdHeader, valuesOf } from './headers.ts';
import type { EndpointLimits } from './options.ts';
import { RefusedError, refusals } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamRequest } from './upstream.ts';

/**
 * Speaks HTTP/2 with prior knowledge over a connection into a guest.
 * Resolves once the application has answered the preface; rejects when it does not speak HTTP/2.
 */
export async function openH2Session(
  connection: Duplex,
  limits: Pick<
    EndpointLimits,
    'streamWindowBytes' | 'connectionWindowBytes' | 'upstreamHandshakeTimeoutMs' | 'headerCount'
  >,
): Promise<ClientHttp2Session> {
  const session = http2.connect('http://microvm', {
    createConnection: () => connection,
    maxHeaderListPairs: limits.headerCount,
    settings: { enablePush: false, initialWindowSize: limits.streamWindowBytes },
  });
  const { promise, resolve, reject } = Promise.withResolvers<ClientHttp2Session>();
  const timer = setTimeout(
    () => session.destroy(new Error('no HTTP/2 preface')),
    limits.upstreamHandshakeTimeoutMs,
  );
  session.on('error', reject);
  session.once('close', () => reject(new Error('the connection was closed')));
  session.once('remoteSettings', () => resolve(session));
  try {
    await promise;
    session.setLocalWindowSize(limits.connectionWindowBytes);
    return session;
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** @param release called once the stream is closed */
export function callOverH2(
  session: ClientHttp2Session,
  request: UpstreamRequest,
  events: UpstreamEvents,
  release: () => void,
): UpstreamCall {
  let over = false;
  let bodyless = false;
  let trailersIn: HeaderList = [];
  let trailersOut: HeaderList = [];
  const stream = startH2Request(session, request, release);
  const fail = (error: Error): void => {
    if (over) return;
    over = true;
    events.fail(error);
  };
  stream.on('error', fail);
  stream.on('headers', (headers, _flags, raw) => {
    const status = headers[':status'];
    if (!over && status !== undefined && status < 200) events.inform(status, fieldsOf(raw));
  });
  stream.once('response', (headers, flags, raw) => {
    if (over) return;
    const fields = fieldsOf(raw);
    // gRPC tells such a response from one with trailers.
    bodyless = (flags & http2.constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    events.respond({
      status: headers[':status'] ?? 0,
      reason: '',
      fields: new Fields(fields),
      length: valuesOf(fields, 'content-length')[0],
      bodyless,
      bodyFollows: false,
    });
    // Not sooner: of a head and a body that come together, Node tells the body first.
    stream.on('data', (chunk: Uint8Array) => {
      if (!over && !events.write(chunk)) stream.pause();
    });
  });
  stream.on('drain', () => events.drain());
  stream.once('trailers', (_headers, _flags, raw) => {
    trailersIn = fieldsOf(raw);
  });
  stream.once('wantTrailers', () => sendTrailers(stream, trailersOut));
  stream.once('end', () => {
    if (over || stream.rstCode !== http2.constants.NGHTTP2_NO_ERROR) return;
    over = true;
    if (!bodyless) events.finish(trailersIn);
  });
  stream.once('close', () => {
    release();
    fail(new Error(`the stream was closed (${stream.rstCode})`));
  });
  return {
    write: (chunk) => !stream.writable || stream.write(chunk),
    finish(trailers) {
      trailersOut = lowerCaseNames(trailers);
      stream.end();
    },
    resume: () => void stream.resume(),
    abort() {
      over = true;
      stream.close(http2.constants.NGHTTP2_CANCEL);
    },
  };
}

/** @throws {RefusedError} the head holds characters HTTP/2 has no place for */
function startH2Request(
  session: ClientHttp2Session,
  request: UpstreamRequest,
  release: () => void,
): ClientHttp2Stream {
  try {
    return session.request(headOf(request), {
      endStream: request.framing === 'none',
      waitForTrailers: request.framing !== 'none',
    });
  } catch (error) {
    release();
    throw new RefusedError(refusals.malformedRequest, { cause: error });
  }
}

function headOf(request: UpstreamRequest): string[] {
  const head = [
    ':method',
    request.method,
    ':scheme',
    'http',
    ':authority',
    request.authority,
    ':path',
    request.path,
    ...lowerCaseNames(request.fields.forwardable),
    requestIdHeader,
    request.requestId,
  ];
  if (typeof request.framing === 'object') head.push('content-length', request.framing.length);
  if (request.fields.expectsContinue) head.push('expect', '100-continue');
  if (request.fields.takesTrailers) head.push('te', 'trailers');
  return head;
}

function fieldsOf(raw: unknown): HeaderList {
  if (!Array.isArray(raw)) return [];
  const fields: string[] = [];
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = String(raw[index]);
    if (!name.startsWith(':')) fields.push(name, String(raw[index + 1]));
  }
  return fields;
}

/** Sends trailers, or breaks the stream off when HTTP/2 has no words for them. */
function sendTrailers(stream: ClientHttp2Stream, trailers: HeaderList): void {
  try {
    stream.sendTrailers(trailerObject(trailers));
  } catch {
    stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR);
  }
}

/** Repeated names become lists: Node takes no flat list here. */
function trailerObject(trailers: HeaderList): Record<string, string[]> {
  const object: Record<string, string[]> = Object.create(null);
  for (const [name, value] of pairsOf(trailers)) {
    object[name] ??= [];
    object[name].push(value);
  }
  return object;
}
