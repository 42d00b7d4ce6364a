import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import http2, { type OutgoingHttpHeaders } from 'node:http2';
import https, { type RequestOptions } from 'node:https';
import net from 'node:net';
import { WebSocket } from 'ws';
import { chaosPorts } from './chaos-guest.ts';

/** Where a microVM is reached, and with what. */
export interface ChaosTarget {
  /** `<host>:<port>` of its endpoint. */
  readonly endpoint: string;
  readonly token: string;
  readonly ca: string;
  readonly caPath: string;
  /** Port of the host published for the raw TCP service. */
  readonly publishedPort: number;
}

/** Something that goes on between a client and the application. */
export interface ChaosStream {
  readonly name: string;
  /** What it looks like to its client in the end: complete, which would be a lie, or how it broke. */
  readonly end: Promise<string>;
}

const complete = 'complete';

/** Starts one of every kind; resolves once each has shown that it goes on. */
export async function startStreams(target: ChaosTarget): Promise<readonly ChaosStream[]> {
  const starts = [
    ...['/length', '/chunked', '/events', '/until-closed'].flatMap((path) => [
      download(target, path),
      curl(target, path, '--http1.1'),
      curl(target, path, '--http2'),
    ]),
    upload(target),
    longPoll(target),
    webSocket(target),
    streamOverH2(target, 'a download over HTTP/2', { ':path': '/length' }),
    streamOverH2(target, 'a gRPC-like stream', {
      ':method': 'POST',
      'content-type': 'application/grpc',
      'x-aws-proxy-port': String(chaosPorts.http2),
      te: 'trailers',
    }),
    tunnel(target),
    published(target),
  ];
  return await Promise.all(starts);
}

function optionsOf(target: ChaosTarget, path: string, headers: OutgoingHttpHeaders = {}): RequestOptions {
  const { host, port } = addressOf(target);
  return {
    ...{ host: '127.0.0.1', port, servername: host, ca: target.ca, agent: false, path },
    headers: { host: target.endpoint, 'x-aws-proxy-auth': target.token, ...headers },
  };
}

function addressOf(target: ChaosTarget): { readonly host: string; readonly port: number } {
  const [host = '', port] = target.endpoint.split(':');
  return { host, port: Number(port) };
}

/** How a byte stream ends for who reads it. */
async function ending(stream: NodeJS.ReadableStream): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  stream.on('error', (error) => resolve(`broken: ${error.message}`));
  stream.once('end', () => resolve(complete));
  stream.once('close', () => resolve('broken: closed'));
  stream.resume();
  return await promise;
}

async function download(target: ChaosTarget, path: string): Promise<ChaosStream> {
  const [response] = (await once(https.get(optionsOf(target, path)), 'response')) as [IncomingMessage];
  await once(response, 'data');
  return { name: `a download of ${path}`, end: ending(response) };
}

async function curl(target: ChaosTarget, path: string, version: string): Promise<ChaosStream> {
  const { host, port } = addressOf(target);
  const child = spawn(
    'curl',
    [
      ...[version, '--silent', '--no-buffer', '--cacert', target.caPath, '--noproxy', '*'],
      ...['--resolve', `${host}:${port}:127.0.0.1`, '--header', `X-aws-proxy-auth: ${target.token}`],
      `https://${target.endpoint}${path}`,
    ],
    { stdio: ['ignore', 'pipe', 'ignore'] },
  );
  const exited = once(child, 'exit').then(([code]) => (code === 0 ? complete : `broken: exit ${code}`));
  await Promise.race([once(child.stdout, 'data'), exited.then((end) => Promise.reject(new Error(end)))]);
  child.stdout.resume();
  return { name: `curl ${version} ${path}`, end: exited };
}

async function upload(target: ChaosTarget): Promise<ChaosStream> {
  const request = https.request({ ...optionsOf(target, '/upload'), method: 'POST' });
  const answer = answerOf(request);
  const dripping = setInterval(() => request.write('x'.repeat(1000)), 100);
  request.once('close', () => clearInterval(dripping));
  request.write('first');
  await once(request, 'information');
  return { name: 'an upload in chunks', end: answer };
}

async function longPoll(target: ChaosTarget): Promise<ChaosStream> {
  const request = https.get(optionsOf(target, '/silent'));
  const answer = answerOf(request);
  await once(request, 'information');
  return { name: 'a request that waits for its answer', end: answer };
}

/** What becomes of a request that had no answer yet: a refusal of the proxy is as good as a broken connection. */
async function answerOf(request: ReturnType<typeof https.request>): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  request.on('error', (error) => resolve(`broken: ${error.message}`));
  request.once('response', (response) => {
    response.resume();
    resolve(response.statusCode === 502 ? 'broken: 502' : complete);
  });
  return await promise;
}

async function webSocket(target: ChaosTarget): Promise<ChaosStream> {
  const { host, port } = addressOf(target);
  const socket = new WebSocket(`wss://${host}:${port}/`, {
    ...optionsOf(target, '/'),
    lookup: (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  const closed = Promise.withResolvers<string>();
  socket.once('close', (code) => closed.resolve(code === 1006 ? 'broken: 1006' : complete));
  await once(socket, 'message');
  socket.on('error', () => undefined);
  return { name: 'a WebSocket', end: closed.promise };
}

async function streamOverH2(
  target: ChaosTarget,
  name: string,
  headers: OutgoingHttpHeaders,
): Promise<ChaosStream> {
  const { host, port } = addressOf(target);
  const session = http2.connect(`https://${host}:${port}`, {
    ca: target.ca,
    lookup: (_host, _options, done) => done(null, [{ address: '127.0.0.1', family: 4 }]),
  });
  session.on('error', () => undefined);
  const stream = session.request(
    { ':authority': target.endpoint, ':path': '/', 'x-aws-proxy-auth': target.token, ...headers },
    { endStream: headers[':method'] === undefined },
  );
  const closed = Promise.withResolvers<string>();
  stream.on('error', () => undefined);
  stream.once('close', () => {
    closed.resolve(stream.rstCode === 0 ? complete : `broken: RST_STREAM ${stream.rstCode}`);
    session.destroy();
  });
  await once(stream, 'data');
  stream.resume();
  return { name, end: closed.promise };
}

async function tunnel(target: ChaosTarget): Promise<ChaosStream> {
  const request = https.get(
    optionsOf(target, `/dormouse/v1/tunnel?port=${chaosPorts.tcp}`, {
      connection: 'upgrade',
      upgrade: 'dormouse-tcp',
    }),
  );
  const [, socket] = (await once(request, 'upgrade')) as [IncomingMessage, net.Socket];
  await once(socket, 'data');
  return { name: 'a TCP tunnel', end: ending(socket) };
}

async function published(target: ChaosTarget): Promise<ChaosStream> {
  const socket = net.connect(target.publishedPort, '127.0.0.1');
  await once(socket, 'data');
  return { name: 'a published port', end: ending(socket) };
}
