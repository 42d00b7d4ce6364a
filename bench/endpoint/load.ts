/** Load generators: as little of their own as possible, so that what is measured is the server. */
import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';
import { WebSocket } from 'ws';

export interface Target {
  readonly port: number;
  /** Host name to ask for. */
  readonly host: string;
  /** Undefined for plain HTTP. */
  readonly ca: string | undefined;
  readonly token: string | undefined;
}

/** One HTTP/1.1 request after the other on each of several connections; latencies in ms. */
export async function h1Requests(target: Target, connections: number, count: number): Promise<number[]> {
  const auth = target.token === undefined ? '' : `X-Aws-Proxy-Auth: ${target.token}\r\n`;
  const request = `GET / HTTP/1.1\r\nHost: ${target.host}\r\n${auth}\r\n`;
  const latencies: number[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: connections }, async () => {
      const socket = await connect(target);
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let startedAt = 0;
      let text = '';
      const next = (): void => {
        if (left === 0) {
          resolve();
          return;
        }
        left -= 1;
        text = '';
        startedAt = performance.now();
        socket.write(request);
      };
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString('latin1');
        if (!isComplete(text)) return;
        if (!text.startsWith('HTTP/1.1 200')) reject(new Error(text.slice(0, 300)));
        latencies.push(performance.now() - startedAt);
        next();
      });
      socket.once('close', () => reject(new Error('closed')));
      next();
      await promise.finally(() => socket.removeAllListeners('close').destroy());
    }),
  );
  return latencies;
}

/** Whether a response of a known length is all there. */
function isComplete(text: string): boolean {
  const end = text.indexOf('\r\n\r\n');
  const length = /\r\ncontent-length: (\d+)/i.exec(text)?.[1];
  return end >= 0 && text.length >= end + 4 + Number(length ?? 0);
}

/** Requests over one HTTP/2 connection, several at a time; latencies in ms. */
export async function h2Requests(target: Target, streams: number, count: number): Promise<number[]> {
  const session = await h2Session(target);
  const headers = h2Headers(target);
  const latencies: number[] = [];
  let left = count;
  await Promise.all(
    Array.from({ length: streams }, async () => {
      while (left > 0) {
        left -= 1;
        const startedAt = performance.now();
        const stream = session.request(headers);
        stream.resume();
        await once(stream, 'close');
        latencies.push(performance.now() - startedAt);
      }
    }),
  );
  session.destroy();
  return latencies;
}

async function h2Session(target: Target): Promise<http2.ClientHttp2Session> {
  const session = http2.connect(`https://${target.host}:${target.port}`, {
    ...(target.ca === undefined ? {} : { ca: target.ca }),
    createConnection: () =>
      tls.connect({
        host: '127.0.0.1',
        port: target.port,
        servername: target.host,
        ca: target.ca,
        ALPNProtocols: ['h2'],
      }),
  });
  await once(session, 'remoteSettings');
  return session;
}

function h2Headers(target: Target): http2.OutgoingHttpHeaders {
  return { ':path': '/', ...(target.token === undefined ? {} : { 'x-aws-proxy-auth': target.token }) };
}

/** Uploads one body over HTTP/2; MB/s. */
export async function h2Upload(target: Target, bytes: number): Promise<number> {
  const session = await h2Session(target);
  const block = Buffer.alloc(256 * 1024);
  const startedAt = performance.now();
  const stream = session.request({ ...h2Headers(target), ':method': 'POST' });
  const answered = once(stream, 'response');
  for (let left = bytes; left > 0; left -= block.length) {
    if (!stream.write(block.subarray(0, Math.min(left, block.length)))) await once(stream, 'drain');
  }
  stream.end();
  const [head] = await answered;
  session.destroy();
  if (head[':status'] !== 200) throw new Error(`status ${head[':status']}`);
  return bytes / 1e6 / ((performance.now() - startedAt) / 1000);
}

/** Echoes over each of several WebSockets; round trips in ms. */
export async function webSocketMessages(target: Target, sockets: number, count: number): Promise<number[]> {
  const latencies: number[] = [];
  let left = count;
  const message = Buffer.alloc(128, 'x');
  await Promise.all(
    Array.from({ length: sockets }, async () => {
      const scheme = target.ca === undefined ? 'ws' : 'wss';
      const socket = new WebSocket(`${scheme}://${target.host}:${target.port}/`, {
        ...(target.ca === undefined ? {} : { ca: target.ca }),
        lookup: (_host, options, done) =>
          options.all === true
            ? done(null, [{ address: '127.0.0.1', family: 4 }])
            : done(null, '127.0.0.1', 4),
        headers: target.token === undefined ? {} : { 'x-aws-proxy-auth': target.token },
        perMessageDeflate: false,
      });
      await once(socket, 'open');
      const { promise, resolve } = Promise.withResolvers<void>();
      let startedAt = 0;
      const next = (): void => {
        if (left === 0) {
          resolve();
          return;
        }
        left -= 1;
        startedAt = performance.now();
        socket.send(message);
      };
      socket.on('message', () => {
        latencies.push(performance.now() - startedAt);
        next();
      });
      next();
      await promise;
      socket.terminate();
    }),
  );
  return latencies;
}

/** Downloads one body; MB/s. */
export async function download(target: Target, bytes: number): Promise<number> {
  const socket = await connect(target);
  const auth = target.token === undefined ? '' : `X-Aws-Proxy-Auth: ${target.token}\r\n`;
  const startedAt = performance.now();
  let received = 0;
  socket.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  socket.write(`GET /${bytes} HTTP/1.1\r\nHost: ${target.host}\r\n${auth}Connection: close\r\n\r\n`);
  await once(socket, 'end');
  socket.destroy();
  if (received < bytes) throw new Error(`only ${received} of ${bytes} bytes`);
  return bytes / 1e6 / ((performance.now() - startedAt) / 1000);
}

/** Uploads one body; MB/s. */
export async function upload(target: Target, bytes: number): Promise<number> {
  const socket = await connect(target);
  const auth = target.token === undefined ? '' : `X-Aws-Proxy-Auth: ${target.token}\r\n`;
  const block = Buffer.alloc(256 * 1024);
  const answered = once(socket, 'data');
  const startedAt = performance.now();
  socket.write(`POST / HTTP/1.1\r\nHost: ${target.host}\r\n${auth}Content-Length: ${bytes}\r\n\r\n`);
  for (let left = bytes; left > 0; left -= block.length) {
    if (!socket.write(block.subarray(0, Math.min(left, block.length)))) await once(socket, 'drain');
  }
  const [head] = await answered;
  socket.destroy();
  if (!String(head).startsWith('HTTP/1.1 200')) throw new Error(String(head).slice(0, 300));
  return bytes / 1e6 / ((performance.now() - startedAt) / 1000);
}

export async function connect(target: Target): Promise<net.Socket> {
  if (target.ca === undefined) {
    const plain = net.connect({ host: '127.0.0.1', port: target.port, noDelay: true });
    await once(plain, 'connect');
    return plain;
  }
  const secure = tls.connect({
    host: '127.0.0.1',
    port: target.port,
    servername: target.host,
    ca: target.ca,
    ALPNProtocols: ['http/1.1'],
  });
  secure.setNoDelay(true);
  await once(secure, 'secureConnect');
  return secure;
}
