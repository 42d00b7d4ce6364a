import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { Duplex, PassThrough } from 'node:stream';
import { after, describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright-core';
import { WebSocketServer } from 'ws';
import { absence } from '../support/programs.ts';
import { type Fixture, type FixtureOptions, startEndpoint } from './fixture.ts';

const managedConnectors = 'arn:aws:lambda:us-east-1:aws:network-connector:aws-network-connector';
const run = promisify(execFile);
const skip = (await absence('chromium', 'chromium')) || (await absence('certutil', 'libnss3-tools'));

/** A browser with a profile of its own that trusts the endpoint's authority as a user would make it do. */
async function startBrowser(home: string, caPath: string): Promise<Browser> {
  const database = path.join(home, '.pki', 'nssdb');
  await mkdir(database, { recursive: true });
  const certutil = (...words: string[]): Promise<unknown> =>
    run('certutil', ['-d', `sql:${database}`, ...words]);
  await certutil('-N', '--empty-password');
  await certutil('-A', '-t', 'C,,', '-n', 'dormouse', '-i', caPath);
  return await chromium.launch({
    executablePath: '/usr/bin/chromium',
    // Root may not have its sandbox; nothing foreign is loaded.
    args: ['--no-sandbox', '--disable-background-networking'],
    env: { PATH: process.env.PATH ?? '', HOME: home },
  });
}

/** A page of somebody's own web server, which is where the client code of an application comes from. */
async function serveSite(t: TestContext): Promise<string> {
  const site = http.createServer((_request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end('<!doctype html><title>site</title>');
  });
  site.listen(0, '127.0.0.1');
  await once(site, 'listening');
  t.after(() => {
    site.closeAllConnections();
    site.close();
  });
  return `http://localhost:${(site.address() as AddressInfo).port}/`;
}

/** The application in the microVM: a page, events, an echo of bodies and of messages. */
function application(): { server: http.Server; requests: http.IncomingMessage[]; gone: Promise<void> } {
  const requests: http.IncomingMessage[] = [];
  const gone = Promise.withResolvers<void>();
  const server = http.createServer((request, response) => {
    requests.push(request);
    switch (request.url) {
      case '/echo':
        request.pipe(response);
        return;
      case '/events':
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: 1\n\n');
        // The rest once the client has shown that it has the beginning.
        server.once('more', () => response.end('data: 2\n\n'));
        return;
      case '/more':
        server.emit('more');
        response.end();
        return;
      case '/endless':
        response.write('begun');
        response.once('close', () => gone.resolve());
        return;
      default:
        response.setHeader('content-type', 'text/html');
        response.end('<!doctype html><title>application</title>');
    }
  });
  const sockets = new WebSocketServer({
    server,
    handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
  });
  sockets.on('connection', (socket, request) => {
    requests.push(request);
    socket.on('message', (data, isBinary) => {
      if (String(data) === 'bye') socket.close(4001, 'as you wish');
      else socket.send(data, { binary: isBinary });
    });
  });
  server.once('close', () => sockets.close());
  return { server, requests, gone: gone.promise };
}

/** What a page does with a WebSocket; resolves with what came of it. Sends each message after the last echo. */
const converse = `async (url, protocols, messages) => {
  const socket = new WebSocket(url, protocols);
  socket.binaryType = 'arraybuffer';
  const echoes = [];
  return await new Promise((resolve) => {
    const next = () => socket.send(messages[echoes.length] ?? 'bye');
    socket.onopen = next;
    socket.onmessage = ({ data }) => {
      echoes.push(typeof data === 'string' ? data : data.byteLength);
      next();
    };
    socket.onclose = ({ code, reason, wasClean }) =>
      resolve({ protocol: socket.protocol, echoes, code, reason, wasClean });
  });
}`;

function call(page: Page, code: string, ...values: readonly unknown[]): Promise<unknown> {
  return page.evaluate(`(${code})(...${JSON.stringify(values)})`);
}

/** Opens the application's own page; a navigation cannot carry the header by itself. */
async function openApplication(page: Page, fixture: Fixture): Promise<void> {
  await page.setExtraHTTPHeaders({ 'x-aws-proxy-auth': fixture.token });
  const response = await page.goto(`https://${fixture.host}:${fixture.port}/`);
  assert.equal(response?.status(), 200);
  await page.setExtraHTTPHeaders({});
}

describe('Chromium', { skip, timeout: 180_000 }, () => {
  let browser: Browser | undefined;
  let home: string | undefined;

  after(async () => {
    await browser?.close();
    if (home !== undefined) await rm(home, { recursive: true, force: true, maxRetries: 5 });
  });

  async function open(
    t: TestContext,
    options: FixtureOptions = {},
  ): Promise<{ fixture: Fixture; page: Page }> {
    const fixture = await startEndpoint(t, options);
    home ??= await mkdtemp(path.join(os.tmpdir(), 'dormouse-browser-'));
    browser ??= await startBrowser(home, fixture.caPath);
    const context = await browser.newContext();
    t.after(() => context.close());
    return { fixture, page: await context.newPage() };
  }

  test('a page of another site talks over WebSocket with the token as a sub-protocol', async (t) => {
    const { fixture, page } = await open(t);
    const { server, requests } = application();
    await fixture.expose(8080, server);
    const other = application();
    await fixture.expose(9000, other.server);
    await page.goto(await serveSite(t));
    const url = `wss://${fixture.host}:${fixture.port}/socket?x=1`;
    const ours = ['lambda-microvms', `lambda-microvms.authentication.${fixture.token}`];
    const messages = ['hello', 'λ', '', 'x'.repeat(300_000)];
    const clean = { code: 4001, reason: 'as you wish', wasClean: true };

    assert.deepEqual(await call(page, converse, url, [...ours, 'chat'], messages), {
      protocol: 'chat',
      echoes: messages,
      ...clean,
    });
    assert.equal(requests[0]?.url, '/socket?x=1');
    assert.equal(requests[0]?.headers['sec-websocket-protocol'], 'chat');
    assert.match(String(requests[0]?.headers.origin), /^http:\/\/localhost:\d+$/);

    const bare = [...ours, 'lambda-microvms.port.9000'];
    const withoutOwn = await call(page, converse, url, bare, []);
    assert.deepEqual(withoutOwn, { protocol: 'lambda-microvms', echoes: [], ...clean });
    assert.equal(other.requests[0]?.headers['sec-websocket-protocol'], undefined);

    const refused = { protocol: '', echoes: [], code: 1006, reason: '', wasClean: false };
    const token = ours[1] ?? '';
    for (const protocols of [
      ['lambda-microvms', `${token}x`],
      [token],
      ['chat'],
      [...ours, 'lambda-microvms.port.9001'],
      [...ours, 'lambda-microvms.port.x'],
    ]) {
      assert.deepEqual(await call(page, converse, url, protocols, []), refused, protocols.join().slice(-40));
    }
  });

  test("the application's own page reads events, sends and receives, over HTTP/2", async (t) => {
    const { fixture, page } = await open(t);
    const { server, gone } = application();
    await fixture.expose(8080, server);
    await openApplication(page, fixture);
    assert.equal(await page.title(), 'application');
    const headers = { 'x-aws-proxy-auth': fixture.token };

    const events = await call(
      page,
      `async (headers) => {
        const { body } = await fetch('/events', { headers });
        const reader = body.pipeThrough(new TextDecoderStream()).getReader();
        const first = await reader.read();
        await fetch('/more', { headers });
        const second = await reader.read();
        return [first.value, second.value, (await reader.read()).done];
      }`,
      headers,
    );
    assert.deepEqual(events, ['data: 1\n\n', 'data: 2\n\n', true]);

    const echoed = await call(
      page,
      `async (headers) => {
        const sent = new Uint8Array(3_000_000).map((_, index) => index % 251);
        const answer = await fetch('/echo', { method: 'POST', body: sent, headers });
        const received = new Uint8Array(await answer.arrayBuffer());
        const [entry] = performance.getEntriesByName(answer.url);
        return [received.length, received.every((byte, index) => byte === index % 251), entry.nextHopProtocol];
      }`,
      headers,
    );
    assert.deepEqual(echoed, [3_000_000, true, 'h2']);

    const name = await call(
      page,
      `async (headers) => {
        const leaving = new AbortController();
        const { body } = await fetch('/endless', { headers, signal: leaving.signal });
        const reader = body.getReader();
        await reader.read();
        leaving.abort();
        return await reader.read().catch((error) => error.name);
      }`,
      headers,
    );
    assert.equal(name, 'AbortError');
    await gone;
    const refused = await call(page, `async () => (await fetch('/')).status`);
    assert.equal(refused, 403, 'the token is wanted with every request');
    assert.equal(fixture.endpoint.status().waiting, 0);
  });

  test('a WebSocket from a page that has an HTTP/2 connection goes over it', async (t) => {
    const { fixture, page } = await open(t);
    const { server, requests } = application();
    await fixture.expose(8080, server);
    await openApplication(page, fixture);
    const before = fixture.endpoint.status().connections;
    const protocols = ['lambda-microvms', `lambda-microvms.authentication.${fixture.token}`, 'chat'];
    const outcome = await call(page, converse, `wss://${fixture.host}:${fixture.port}/over-h2`, protocols, [
      'hello',
      'x'.repeat(100_000),
    ]);
    assert.deepEqual(outcome, {
      protocol: 'chat',
      echoes: ['hello', 'x'.repeat(100_000)],
      code: 4001,
      reason: 'as you wish',
      wasClean: true,
    });
    assert.equal(requests.at(-1)?.url, '/over-h2');
    assert.equal(fixture.endpoint.status().connections, before, 'no second connection was opened');
  });

  test('a shell from such a page goes over it, too', async (t) => {
    const typed = Promise.withResolvers<string>();
    const stdio = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        typed.resolve(chunk.toString());
        stdio.push(null);
        done();
      },
    });
    const connectors = ['HTTP_INGRESS', 'SHELL_INGRESS'].map((name) => `${managedConnectors}:${name}`);
    const { fixture, page } = await open(t, {
      vm: { ingressNetworkConnectors: connectors },
      exec: async () => ({
        stdio,
        stderr: new PassThrough(),
        exit: typed.promise.then(() => ({ code: 0, signal: 0 })),
        resize: () => undefined,
        signal: () => undefined,
        close: () => undefined,
      }),
    });
    const { server } = application();
    await fixture.expose(8080, server);
    await openApplication(page, fixture);
    const before = fixture.endpoint.status().connections;
    const token = await fixture.tokens.mint(fixture.vm.microvmId, 'shell', 5);
    const outcome = await call(
      page,
      converse,
      `wss://${fixture.host}:${fixture.port}/shell`,
      ['lambda-microvms', `lambda-microvms.authentication.${token}`],
      ['exit'],
    );
    const { echoes, ...rest } = outcome as { echoes: string[] };
    assert.match(echoes[0] ?? '', /"session_init"/);
    assert.deepEqual(rest, {
      protocol: 'lambda-microvms',
      code: 1000,
      reason: 'shell exited',
      wasClean: true,
    });
    assert.equal(await typed.promise, 'exit');
    assert.equal(fixture.endpoint.status().connections, before, 'no second connection was opened');
  });

  test('requests of other sites are not let through, for their preflight has no token', async (t) => {
    const { fixture, page } = await open(t);
    const { server, requests } = application();
    await fixture.expose(8080, server);
    await page.goto(await serveSite(t));
    const outcome = await call(
      page,
      `async (url, headers) => await fetch(url, { headers }).then(({ status }) => status, ({ name }) => name)`,
      `https://${fixture.host}:${fixture.port}/`,
      { 'x-aws-proxy-auth': fixture.token },
    );
    assert.equal(outcome, 'TypeError');
    assert.deepEqual(requests, []);
  });

  test('a browser that does not know the authority does not connect', async (t) => {
    const fixture = await startEndpoint(t);
    const { server } = application();
    await fixture.expose(8080, server);
    home ??= await mkdtemp(path.join(os.tmpdir(), 'dormouse-browser-'));
    const stranger = await chromium.launch({
      executablePath: '/usr/bin/chromium',
      args: ['--no-sandbox'],
      env: { PATH: process.env.PATH ?? '', HOME: path.join(home, 'stranger') },
    });
    t.after(() => stranger.close());
    const page = await stranger.newPage();
    await assert.rejects(page.goto(`https://${fixture.host}:${fixture.port}/`), /ERR_CERT_AUTHORITY_INVALID/);
  });
});
