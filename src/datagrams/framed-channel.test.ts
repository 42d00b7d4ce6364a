import assert from 'node:assert/strict';
import { once } from 'node:events';
import { duplexPair, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { longestDatagram } from '../model/datagrams.ts';
import { framedChannel } from './framed-channel.ts';

test('datagrams of every size come out as they went in, however the bytes are cut', async () => {
  const [near, far] = duplexPair();
  const cut = new PassThrough();
  const received: Buffer[] = [];
  const sizes = [0, 1, 255, 256, 1472, longestDatagram];
  const done = Promise.withResolvers<void>();
  far.on('data', (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; at += 1000) cut.write(chunk.subarray(at, at + 1000));
  });
  framedChannel(cut, (datagram) => {
    received.push(Buffer.from(datagram));
    if (received.length === sizes.length) done.resolve();
  });
  const channel = framedChannel(near, () => undefined);
  for (const size of sizes) assert.equal(channel.send(Buffer.alloc(size, size % 251)), true);
  await done.promise;
  assert.deepEqual(
    received.map((datagram) => datagram.length),
    sizes,
  );
  assert.ok(received.every((datagram) => datagram.every((byte) => byte === datagram.length % 251)));
  assert.equal(channel.send(Buffer.alloc(longestDatagram + 1)), false);
});

test('drops what a slow stream does not take', () => {
  const [near] = duplexPair();
  const channel = framedChannel(near, () => undefined);
  let sent = 0;
  while (channel.send(Buffer.alloc(60_000))) sent += 1;
  assert.ok(sent > 5 && sent < 30, `${sent} sent`);
});

test('ends with its stream, and with a length no datagram has', async () => {
  const [near, far] = duplexPair();
  const channel = framedChannel(near, () => undefined);
  far.end();
  await channel.closed;
  assert.equal(channel.send(Buffer.from('x')), false);

  const [broken, peer] = duplexPair();
  const hostile = framedChannel(broken, () => assert.fail('a datagram'));
  peer.write(Buffer.from([0xff, 0xff, 1]));
  await hostile.closed;
  if (!broken.closed) await once(broken, 'close');
});
