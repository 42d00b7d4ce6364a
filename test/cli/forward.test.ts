import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { goingDormouse } from '../support/cli.ts';
import { startCliFixture } from './fixture.ts';

const guest: RequestListener = (request, response) => {
  response.write('begun');
  if (request.url === '/reset') setImmediate(() => request.socket.resetAndDestroy());
  else response.end('all');
};

test('a forwarded connection ends as the one inside does', async (t) => {
  const cli = await startCliFixture(guest);
  t.after(() => cli.close());
  const forward = await goingDormouse({ ready: cli }, ['forward', await cli.launch('web'), '8080:0']);
  t.after(() => forward.interrupt());
  const port = Number(/^127\.0\.0\.1:(\d+) → /.exec(forward.firstLine)?.[1]);
  const ask = async (path: string): Promise<string> => {
    const socket = net.connect(port, '127.0.0.1');
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    const failed = new Promise<string>((resolve) => socket.once('error', (error) => resolve(String(error))));
    return await Promise.race([failed, once(socket, 'end').then(() => Buffer.concat(chunks).toString())]);
  };
  assert.match(await ask('/'), /begun[\s\S]*all\r\n0\r\n\r\n$/);
  assert.match(await ask('/reset'), /ECONNRESET/);
  assert.equal(await forward.interrupt(), 0);
});
