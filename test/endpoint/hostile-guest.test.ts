import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { ask, askH2, h2Headers, h2Session, noAnswer, startEndpoint } from './fixture.ts';

/** Sends fixed bytes for every request, then closes. */
function speaking(bytes: string): net.Server {
  return net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(bytes, 'latin1'));
  });
}

const ok = 'HTTP/1.1 200 OK\r\n';
const many = (count: number): string =>
  Array.from({ length: count }, (_, index) => `X-${index}: 1\r\n`).join('');

/** What an application sends, and what the client may get at most. */
const answeredWith502: ReadonlyArray<readonly [string, string]> = [
  ['nothing', ''],
  ['not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['an unfinished head', `${ok}Content-Length: 5\r\n`],
  ['length and chunked', `${ok}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['two lengths', `${ok}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!`],
  ['a negative length', `${ok}Content-Length: -1\r\n\r\n`],
  ['a bare carriage return in a header', `${ok}X-A: b\rX-B: c\r\n\r\n`],
  ['a null in a header', `${ok}X-A: b\0c\r\n\r\n`],
  ['a space before the colon', `${ok}X-A : b\r\n\r\n`],
  ['a huge header', `${ok}X-A: ${'a'.repeat(70_000)}\r\n\r\n`],
  ['a thousand headers', `${ok}${many(1000)}\r\n`],
  [
    'a switch of protocols nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
  ],
  ['status 0', 'HTTP/1.1 000 None\r\n\r\n'],
  ['endless informational responses', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(500)],
];

for (const [name, bytes] of answeredWith502) {
  test(`an application that sends ${name} is answered for with 502`, async (t) => {
    const fixture = await startEndpoint(t);
    await fixture.expose(8080, speaking(bytes));
    const session = await h2Session(t, fixture);
    for (const answer of [await ask(fixture), await askH2(session, h2Headers(fixture))]) {
      assert.deepEqual([answer.status, answer.body], [502, noAnswer]);
      assert.equal(answer.headers['x-aws-proxy-error'], 'BAD_GATEWAY');
    }
    assert.deepEqual(fixture.errors, []);
  });
}

test('an application may end its lines with a bare line feed, and no client gets to see them', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, speaking('HTTP/1.1 200 OK\nX-A: b\nContent-Length: 3\nX-B: c\n\na\nb'));
  for (const answer of [await ask(fixture), await askH2(await h2Session(t, fixture), h2Headers(fixture))]) {
    assert.deepEqual([answer.status, answer.body], [200, 'a\nb']);
    assert.deepEqual([answer.headers['x-a'], answer.headers['x-b']], ['b', 'c']);
  }
});

test('a second response is not taken for the answer to the next request', async (t) => {
  const fixture = await startEndpoint(t);
  let requests = 0;
  await fixture.expose(
    8080,
    net.createServer((socket) => {
      socket.on('data', () => {
        requests += 1;
        socket.write(`${ok}Content-Length: 4\r\n\r\nreal${ok}Content-Length: 6\r\nX-Poison: 1\r\n\r\npoison`);
      });
    }),
  );
  for (let round = 0; round < 5; round += 1) {
    const answer = await ask(fixture);
    // Either is right: what came first, or nothing at all. The second response never is.
    assert.ok([200, 502].includes(answer.status));
    assert.notEqual(answer.body, 'poison');
    assert.equal(answer.headers['x-poison'], undefined);
  }
  assert.ok(requests >= 5);
});

test('what arrives on an idle connection is not an answer', async (t) => {
  const fixture = await startEndpoint(t);
  const late = Promise.withResolvers<void>();
  await fixture.expose(
    8080,
    net.createServer((socket) => {
      socket.once('data', () => {
        socket.write(`${ok}Content-Length: 4\r\n\r\nreal`);
        setImmediate(() => {
          if (!socket.destroyed) socket.write(`${ok}Content-Length: 6\r\n\r\npoison`);
          setImmediate(late.resolve);
        });
      });
    }),
  );
  assert.equal((await ask(fixture)).body, 'real');
  await late.promise;
  assert.notEqual((await ask(fixture)).body, 'poison');
});

test('headers of the proxy cannot be forged by the application', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    speaking(
      `${ok}X-Aws-Proxy-Error: UNAUTHORIZED\r\nX-Amzn-RequestId: forged\r\nConnection: close, x-secret\r\nX-Secret: 1\r\nContent-Length: 0\r\n\r\n`,
    ),
  );
  const { headers } = await ask(fixture);
  assert.equal(headers['x-aws-proxy-error'], undefined);
  assert.equal(headers['x-secret'], undefined);
  assert.match(String(headers['x-amzn-requestid']), /^[0-9a-f-]{36}$/);
});

test('bogus chunking breaks the response off', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, speaking(`${ok}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n`));
  await assert.rejects(ask(fixture), /aborted|hang up|ECONNRESET/);
  const answer = askH2(await h2Session(t, fixture), h2Headers(fixture));
  await assert.rejects(answer, /NGHTTP2_INTERNAL_ERROR/);
});

test('a reason phrase with control characters does not get through', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(8080, speaking('HTTP/1.1 200 O\x01K\x7f\r\nContent-Length: 2\r\n\r\nhi'));
  const answer = await ask(fixture);
  assert.ok(answer.status === 502 || answer.body === 'hi');
});

test('headers that are given twice reach clients of both versions', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    speaking(
      `${ok}Content-Type: a/b\r\nContent-Type: c/d\r\nETag: 1\r\nETag: 2\r\nDate: x\r\nDate: y\r\nContent-Length: 2\r\n\r\nok`,
    ),
  );
  const session = await h2Session(t, fixture);
  for (const answer of [await ask(fixture), await askH2(session, h2Headers(fixture))]) {
    assert.deepEqual([answer.status, answer.body], [200, 'ok']);
  }
});

test('trailers and informational headers meant for one hop do not break the others', async (t) => {
  const fixture = await startEndpoint(t);
  await fixture.expose(
    8080,
    speaking(
      `HTTP/1.1 103 Early Hints\r\nConnection: x\r\nUpgrade: y\r\nKeep-Alive: 1\r\n\r\n${ok}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n` +
        'Keep-Alive: 5\r\nUpgrade: y\r\nHTTP2-Settings: x\r\nSet-Cookie: a=b\r\nX-Good: 1\r\n\r\n',
    ),
  );
  const session = await h2Session(t, fixture);
  for (const answer of [await ask(fixture), await askH2(session, h2Headers(fixture))]) {
    assert.deepEqual([answer.status, answer.body, answer.informational], [200, 'ok', [103]]);
    assert.equal(answer.trailers['x-good'], '1');
    assert.equal(Object.keys(answer.trailers).length, 1);
  }
});
