import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type Duplex, duplexPair } from 'node:stream';
import { test } from 'node:test';
import type { UpstreamEvents } from '../upstream.ts';
import { ClientConnection } from './client-connection.ts';

/** A connection over which a request has been sent, the application's end of it, and what becomes of the request. */
function requested(): {
  connection: ClientConnection;
  ours: Duplex;
  application: Duplex;
  finished: Promise<void>;
} {
  const [ours, application] = duplexPair();
  const connection = new ClientConnection(ours, { headerBytes: 1000, headerCount: 10 });
  const { promise: finished, resolve, reject } = Promise.withResolvers<void>();
  const events: UpstreamEvents = {
    attach: () => undefined,
    inform: () => undefined,
    respond: ({ bodyless }) => bodyless && resolve(),
    write: () => true,
    finish: () => resolve(),
    drain: () => undefined,
    fail: reject,
  };
  connection.send({ method: 'GET', head: 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', framing: 'none' }, events, {});
  return { connection, ours, application, finished };
}

const answers = {
  'an answer that is the last one': 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi',
  'an answer of HTTP/1.0': 'HTTP/1.0 204 No Content\r\n\r\n',
};

for (const [name, answer] of Object.entries(answers)) {
  test(`after ${name} the application is left as clients leave, and closes by itself`, async () => {
    const { ours, application, finished } = requested();
    const left = once(application.resume(), 'end');
    const closed = once(ours, 'close');
    application.write(answer);
    await finished;
    await left;
    assert.equal(ours.destroyed, false);
    application.write('late words');
    application.end();
    await closed;
  });
}

test('an idle connection that is not kept ends the same way', async () => {
  const { connection, ours, application, finished } = requested();
  connection.onIdle = () => undefined;
  application.resume();
  application.write('HTTP/1.1 204 No Content\r\n\r\n');
  await finished;
  connection.end();
  await once(application, 'end');
  assert.equal(ours.destroyed, false);
  application.end();
  await once(ours, 'close');
});

test('one that the application closes while it is idle is closed on this side as well', async () => {
  const { connection, ours, application, finished } = requested();
  connection.onIdle = () => undefined;
  const gone = new Promise<void>((resolve) => {
    connection.onGone = resolve;
  });
  application.resume();
  application.write('HTTP/1.1 204 No Content\r\n\r\n');
  await finished;
  application.end();
  await gone;
  assert.equal(ours.writableEnded, true);
});
