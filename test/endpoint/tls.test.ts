import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import http from 'node:http';
import { test } from 'node:test';
import tls from 'node:tls';
import { promisify } from 'node:util';
import { WebSocket, WebSocketServer } from 'ws';
import { ask, lookupLoopback, startEndpoint } from './fixture.ts';

const run = promisify(execFile);

for (const version of ['--http1.1', '--http2']) {
  test(`curl ${version} trusts the certificate and is served`, async (t) => {
    const fixture = await startEndpoint(t);
    await fixture.expose(
      8080,
      http.createServer((request, response) => request.pipe(response)),
    );
    const url = `https://${fixture.host}:${fixture.port}/`;
    const { stdout } = await run('curl', [
      ...[version, '--silent', '--show-error', '--cacert', fixture.caPath, '--noproxy', '*'],
      ...['--resolve', `${fixture.host}:${fixture.port}:127.0.0.1`],
      ...['--header', `X-aws-proxy-auth: ${fixture.token}`, '--data-binary', 'a body'],
      ...['--write-out', '\n%{http_version} %{http_code}', url],
    ]);
    assert.equal(stdout, `a body\n${version === '--http2' ? '2' : '1.1'} 200`);
  });
}

test('a connection opened for one microVM does not serve another', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((_request, response) => response.end('ok')),
  );
  const elsewhere = { ...fixture, host: `other.microvm.localhost` };
  const misdirected = await ask(elsewhere, { headers: { host: fixture.host } });
  assert.deepEqual([misdirected.status, misdirected.body], [421, 'Misdirected request']);
  // A name that is no microVM's, as with a tunnel to the port, says nothing about whom the client wants.
  const viaLocalhost = await ask({ ...fixture, host: 'localhost' }, { headers: { host: fixture.host } });
  assert.equal(viaLocalhost.status, 200);
});

test('host names are told apart whatever their case and port', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    http.createServer((request, response) => response.end(request.headers.host)),
  );
  for (const host of [fixture.host.toUpperCase(), `${fixture.host}:${fixture.port}`]) {
    const answer = await ask(fixture, { headers: { host } });
    assert.deepEqual([answer.status, answer.body], [200, host]);
  }
});

test('old versions of TLS are refused', async (t) => {
  const fixture = await startEndpoint(t);
  const socket = tls.connect({
    host: '127.0.0.1',
    port: fixture.port,
    ca: fixture.ca,
    servername: fixture.host,
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  const [error] = await once(socket, 'error');
  assert.match(String(error), /alert protocol version|unsupported protocol/i);
});

test('the certificate names the microVM and its lifetime is short', async (t) => {
  const fixture = await startEndpoint(t);
  const socket = tls.connect({
    host: '127.0.0.1',
    port: fixture.port,
    ca: fixture.ca,
    servername: fixture.host,
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  await once(socket, 'secureConnect');
  const { raw } = socket.getPeerCertificate();
  const certificate = new X509Certificate(raw);
  assert.equal(socket.alpnProtocol, 'h2');
  assert.ok(certificate.checkHost(fixture.host) !== undefined);
  assert.ok(certificate.validToDate.getTime() - Date.now() < 100 * 24 * 3600 * 1000);
  socket.destroy();
});

test('a WebSocket counts against the limits as long as it is open, and no longer', async (t) => {
  const fixture = await startEndpoint(t, {
    limits: {
      perMicrovm: () => ({ connections: 10, concurrent: 1, requestsPerSecond: Number.POSITIVE_INFINITY }),
    },
  });
  const server = http.createServer();
  const sockets = new WebSocketServer({ server });
  t.after(() => sockets.close());
  await fixture.expose(8080, server);
  const open = (): WebSocket =>
    new WebSocket(`wss://${fixture.host}:${fixture.port}/`, {
      ca: fixture.ca,
      lookup: lookupLoopback,
      headers: { host: fixture.host, 'x-aws-proxy-auth': fixture.token },
    });
  for (let round = 0; round < 3; round += 1) {
    const socket = open();
    await once(socket, 'open');
    assert.equal((await ask(fixture)).status, 429);
    const inside = fixture.connections.at(-1);
    assert.ok(inside);
    const gone = once(inside, 'close');
    socket.terminate();
    await gone;
  }
});
