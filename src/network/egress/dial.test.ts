import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { dial } from './dial.ts';

test('few single bytes wait for a machine that does not take them', async (t) => {
  const server = createServer((socket) => socket.resume()).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = await dial('127.0.0.1', port, new AbortController().signal);
  t.after(() => socket.destroy());
  // Corked, it is as slow as can be.
  socket.cork();
  let pieces = 1;
  while (socket.write(Buffer.of(1))) pieces += 1;
  assert.ok(pieces <= 1024, `${pieces} pieces wait`);
});
