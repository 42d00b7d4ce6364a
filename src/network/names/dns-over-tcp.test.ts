import assert from 'node:assert/strict';
import { duplexPair } from 'node:stream';
import { test } from 'node:test';
import { serveNamesOver } from './dns-over-tcp.ts';

function message(bytes: Buffer): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

test('who does not take answers gets no more of them, and all once it does', async () => {
  const [guest, host] = duplexPair();
  let asked = 0;
  const served = serveNamesOver(host, async () => {
    asked += 1;
    return Buffer.alloc(60_000, asked);
  });
  const queries = 50;
  for (let index = 0; index < queries; index += 1) guest.write(message(Buffer.alloc(20)));
  for (let turn = 0; turn < 100; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(asked < 5, `${asked} answers wait`);
  guest.end();
  let received = 0;
  for await (const chunk of guest) received += (chunk as Buffer).length;
  await served;
  assert.equal(received, queries * 60_002);
});
