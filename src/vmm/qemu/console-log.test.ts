import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { pumpConsole } from './console-log.ts';

test('the latest console output is kept and its amount bounded', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-console-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const guest = net.connect(port, '127.0.0.1');
  const [host] = (await once(server, 'connection')) as [net.Socket];
  const drained = pumpConsole(host, directory);
  for (let line = 0; line < 3000; line++) guest.write(`${String(line).padStart(999, '.')}\n`);
  guest.end('the end\n');
  await drained;

  assert.deepEqual((await readdir(directory)).sort(), ['console.log', 'console.log.1']);
  const files = ['console.log.1', 'console.log'].map((name) => path.join(directory, name));
  const [older, newer] = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  assert.match(`${older}${newer}`, /2998\n\.+2999\nthe end\n$/);
  for (const file of files) assert.ok((await stat(file)).size <= 256 * 1024 + 65_536);
});
