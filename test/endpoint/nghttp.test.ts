import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import http2 from 'node:http2';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { absence } from '../support/programs.ts';
import { type Fixture, startEndpoint } from './fixture.ts';

const run = promisify(execFile);
const skip = await absence('nghttp', 'nghttp2-client');

/** Runs nghttp or h2load against the endpoint; names below `localhost` are not this machine's for them. */
async function tool(fixture: Fixture, name: 'nghttp' | 'h2load', ...words: string[]): Promise<string> {
  const url = words.at(-1) ?? '';
  const authority = [`--header=:authority: ${fixture.host}`, `--header=X-Aws-Proxy-Auth: ${fixture.token}`];
  const { stdout } = await run(
    name,
    [...authority, ...words.slice(0, -1), `https://127.0.0.1:${fixture.port}${url}`],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return stdout;
}

async function fileOf(t: TestContext, bytes: number): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-upload-'));
  t.after(() => rm(directory, { recursive: true }));
  const file = path.join(directory, 'body');
  await writeFile(file, Buffer.alloc(bytes, 'dormouse'));
  return file;
}

/** Answers with how much it was sent. */
function measuring(): http.Server {
  return http.createServer(async (request, response) => {
    let bytes = 0;
    for await (const chunk of request) bytes += chunk.length;
    response.end(`${bytes} bytes`);
  });
}

test('h2load: thousands of streams over few connections, none of them fails', { skip }, async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.end('ok')),
  );
  const report = await tool(fixture, 'h2load', '-n', '3000', '-c', '4', '-m', '100', '/');
  assert.match(report, /Application protocol: h2\n/);
  assert.match(report, /3000 succeeded, 0 failed, 0 errored, 0 timeout/);
  assert.match(report, /status codes: 3000 2xx, 0 3xx, 0 4xx, 0 5xx/);
  const overH1 = await tool(fixture, 'h2load', '--h1', '-n', '1000', '-c', '8', '/');
  assert.match(overH1, /Application protocol: http\/1\.1\n/);
  assert.match(overH1, /1000 succeeded, 0 failed, 0 errored/);
  assert.equal(fixture.endpoint.status().waiting, 0);
});

test('h2load: large uploads in parallel, with small windows on its side too', { skip }, async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, measuring());
  const file = await fileOf(t, 2 * 1024 * 1024);
  const upload = await tool(fixture, 'h2load', '-n', '24', '-c', '2', '-m', '6', '-d', file, '/');
  assert.match(upload, /24 succeeded, 0 failed/);
  await fixture.expose(
    8081,
    http.createServer((_request, response) => response.end(Buffer.alloc(2 * 1024 * 1024))),
  );
  const windows = ['-w', '14', '-W', '15', '--header=x-aws-proxy-port: 8081'];
  const download = await tool(fixture, 'h2load', '-n', '24', '-c', '2', '-m', '6', ...windows, '/');
  assert.match(download, /24 succeeded, 0 failed/);
  assert.match(download, /\(50331648\) data/);
});

test('nghttp: an upload with trailers, and what the server settles at', { skip }, async (t) => {
  const fixture = await startEndpoint(t);
  const trailers: string[] = [];
  const server = http.createServer((request, response) => {
    request.resume().on('end', () => {
      trailers.push(...request.rawTrailers);
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('uploaded');
      response.addTrailers({ 'x-sum': '42' });
      response.end();
    });
  });
  await fixture.expose(8080, server);
  const file = await fileOf(t, 300_000);
  const report = await tool(
    fixture,
    'nghttp',
    ...['--verbose', `--data=${file}`, '--no-content-length', '--trailer=x-client: nghttp', '/upload'],
  );
  assert.deepEqual(trailers, ['x-client', 'nghttp']);
  assert.match(
    report,
    /recv SETTINGS frame[\s\S]*\[SETTINGS_ENABLE_CONNECT_PROTOCOL\(0x08\):1\]|UNKNOWN\(0x08\):1/,
  );
  assert.match(report, /SETTINGS_INITIAL_WINDOW_SIZE\(0x04\):16777216/);
  assert.match(report, /recv \(stream_id=\d+\) :status: 200[\s\S]*recv \(stream_id=\d+\) x-sum: 42/);
  assert.doesNotMatch(report, /recv PUSH_PROMISE/);
  assert.doesNotMatch(report, /recv GOAWAY/);
});

test('nghttp: a page and what it needs, with priorities, over one connection', { skip }, async (t) => {
  const fixture = await startEndpoint(t);
  const seen: string[] = [];
  await fixture.expose(
    8080,
    http.createServer((request, response) => {
      seen.push(String(request.url));
      if (request.url !== '/') return void response.end('x'.repeat(20_000));
      response.setHeader('content-type', 'text/html');
      const scripts = Array.from({ length: 20 }, (_, index) => `<script src="/${index}.js"></script>`);
      response.end(`<!doctype html><html><head>${scripts.join('')}</head></html>`);
    }),
  );
  const report = await tool(fixture, 'nghttp', '--get-assets', '--null-out', '--stat', '--weight=200', '/');
  assert.equal(seen.filter((url) => url.endsWith('.js')).length, 20, seen.join());
  assert.equal(report.match(/ 200 +\d+K? \/\d+\.js/g)?.length, 20);
});

test('an application that says GOAWAY costs nobody a request', { skip }, async (t) => {
  const fixture = await startEndpoint(t);
  const server = http2.createServer();
  let sessions = 0;
  server.on('session', () => {
    sessions += 1;
  });
  server.on('stream', (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ':status': 200 });
    stream.end('ok');
    // As servers do that want their clients to connect anew from time to time.
    const { session } = stream;
    if (session !== undefined && (session.state.lastProcStreamID ?? 0) > 20) session.close();
  });
  await fixture.expose(8080, server);
  const force = '--header=x-aws-proxy-force-h2: true';
  const report = await tool(fixture, 'h2load', '-n', '300', '-c', '1', '-m', '1', force, '/');
  assert.match(report, /status codes: 300 2xx/);
  assert.ok(sessions > 5, `${sessions} sessions`);
});

test('nghttp: a request whose body the application does not want is answered', { skip }, async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.writeHead(413).end('too much')),
  );
  const file = await fileOf(t, 4 * 1024 * 1024);
  const stdout = await tool(fixture, 'nghttp', `--data=${file}`, '/');
  assert.equal(stdout, 'too much');
});
