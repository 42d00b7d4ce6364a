import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { test } from 'node:test';
import { askH2, h2Headers, h2Session, rawExchange, startEndpoint } from './fixture.ts';

/** An application that notes every byte it gets and answers each head it sees. */
function recorder(): { server: net.Server; seen: () => string } {
  let seen = '';
  const server = net.createServer((socket) => {
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
      if (!seen.includes('\r\n\r\n')) return;
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
    });
  });
  return { server, seen: () => seen };
}

const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n';

/** Head lines after the request line, and the body; nothing of it may become a second request. */
const refused: ReadonlyArray<readonly [string, string, string]> = [
  [
    'content-length and transfer-encoding',
    'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n',
    `0\r\n\r\n${smuggled}`,
  ],
  [
    'transfer-encoding before content-length',
    'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
    `0\r\n\r\n${smuggled}`,
  ],
  ['two lengths', `Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n`, smuggled],
  ['list of lengths', 'Content-Length: 0, 37\r\n', smuggled],
  ['signed length', 'Content-Length: +5\r\n', 'hello'],
  ['negative length', 'Content-Length: -1\r\n', smuggled],
  ['hexadecimal length', 'Content-Length: 0x5\r\n', 'hello'],
  ['empty length', 'Content-Length: \r\n', smuggled],
  ['unknown coding', 'Transfer-Encoding: xchunked\r\n', `0\r\n\r\n${smuggled}`],
  ['chunked not last', 'Transfer-Encoding: chunked, identity\r\n', `0\r\n\r\n${smuggled}`],
  ['coding before chunked', 'Transfer-Encoding: gzip, chunked\r\n', `0\r\n\r\n${smuggled}`],
  ['chunked twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', `0\r\n\r\n${smuggled}`],
  ['space before colon', 'Transfer-Encoding : chunked\r\n', `0\r\n\r\n${smuggled}`],
  ['vertical tab in coding', 'Transfer-Encoding: \x0bchunked\r\n', `0\r\n\r\n${smuggled}`],
  ['folded line', 'X-Folded: a\r\n b\r\n', ''],
  ['name with a space', 'X Name: a\r\n', ''],
  ['bare carriage return', 'X-A: a\rX-B: b\r\n', ''],
  ['bare line feed', 'X-A: a\nTransfer-Encoding: chunked\n', ''],
  ['null in a value', 'X-A: a\0b\r\n', ''],
  ['chunk size too large', 'Transfer-Encoding: chunked\r\n', 'fffffffffffffffff\r\nx\r\n0\r\n\r\n'],
  ['chunk size in decimal with sign', 'Transfer-Encoding: chunked\r\n', '+5\r\nhello\r\n0\r\n\r\n'],
  ['chunk size with 0x', 'Transfer-Encoding: chunked\r\n', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['chunk without line end', 'Transfer-Encoding: chunked\r\n', `5\r\nhelloXX0\r\n\r\n${smuggled}`],
];

for (const [name, head, body] of refused) {
  test(`refused over HTTP/1.1: ${name}`, async (t) => {
    const fixture = await startEndpoint(t);
    const { server, seen } = recorder();
    await fixture.expose(8080, server);
    const answer = await rawExchange(
      fixture,
      `POST /first HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n${head}\r\n${body}`,
    );
    assert.doesNotMatch(seen(), /^(GET|POST) \/smuggled/m);
    assert.doesNotMatch(seen(), /\r\n\r\n[\s\S]*HTTP\/1\.1/);
    assert.ok(!answer.startsWith('HTTP/1.1 200'), answer);
  });
}

test('a token does not open the requests that follow it on the connection', async (t) => {
  const fixture = await startEndpoint(t);
  const { server, seen } = recorder();
  await fixture.expose(8080, server);
  const answer = await rawExchange(
    fixture,
    `GET /first HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n\r\n` +
      `GET /second HTTP/1.1\r\nHost: ${fixture.host}\r\nConnection: close\r\n\r\n`,
  );
  assert.match(seen(), /^GET \/first /);
  assert.doesNotMatch(seen(), /second/);
  assert.match(answer, /^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 403 /);
});

test('headers a client lists as connection options cannot take ours away', async (t) => {
  const fixture = await startEndpoint(t);
  const { server, seen } = recorder();
  await fixture.expose(8080, server);
  await rawExchange(
    fixture,
    `POST / HTTP/1.1\r\nHost: ${fixture.host}\r\nX-Aws-Proxy-Auth: ${fixture.token}\r\n` +
      'Connection: close, host, content-length, x-amzn-requestid, x-mine\r\nX-Mine: 1\r\nX-Other: 2\r\n' +
      'X-Amzn-RequestId: forged\r\nProxy-Connection: keep-alive\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nhi',
  );
  const lines = seen().split('\r\n');
  assert.ok(lines.includes(`Host: ${fixture.host}`));
  assert.ok(lines.includes('Content-Length: 2'));
  assert.ok(lines.includes('X-Other: 2'));
  assert.equal(lines.filter((line) => /^x-amzn-requestid: [0-9a-f-]{36}$/i.test(line)).length, 1);
  assert.equal(
    lines.filter((line) => /^(x-mine|proxy-connection|keep-alive|x-aws-proxy)/i.test(line)).length,
    0,
  );
});

test('two host headers, or none, are refused', async (t) => {
  const fixture = await startEndpoint(t);
  for (const hosts of ['', `Host: ${fixture.host}\r\nHost: other\r\n`]) {
    const answer = await rawExchange(
      fixture,
      `GET / HTTP/1.1\r\n${hosts}X-Aws-Proxy-Auth: ${fixture.token}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(answer, /^HTTP\/1\.1 4\d\d /);
  }
  assert.equal(fixture.connections.length, 0);
});

test('what HTTP/1.1 cannot carry does not pass from HTTP/2', async (t) => {
  const fixture = await startEndpoint(t);
  const { server, seen } = recorder();
  await fixture.expose(8080, server);
  const session = await h2Session(t, fixture);
  const cases: ReadonlyArray<Record<string, string>> = [
    { ':path': '/a b' },
    { ':path': '/ HTTP/1.1\r\nX-Injected: 1\r\n\r\n' },
    { ':path': 'relative' },
    { ':path': '/\u00e9\u4e2d' },
    { host: 'other.microvm.localhost' },
    { 'content-length': '1' },
  ];
  for (const headers of cases) {
    try {
      const answer = await askH2(session, h2Headers(fixture, { ':method': 'POST', ...headers }), 'body');
      assert.notEqual(answer.status, 200, JSON.stringify(headers));
    } catch (error) {
      assert.ok(error instanceof Error);
    }
  }
  assert.doesNotMatch(seen(), /Injected/);
  assert.equal(fixture.errors.length, 0);
});

test('plain HTTP on the TLS port is not answered', async (t) => {
  const fixture = await startEndpoint(t);
  const socket = net.connect(fixture.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  let received = '';
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1');
  });
  await once(socket, 'close');
  assert.doesNotMatch(received, /HTTP/);
});
