import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { connectUnix } from './unix-socket.ts';

/** Takes nobody on before it is told to. */
const busyListener = `
  const socket = process.argv[1];
  require('node:net').createServer().listen({ path: socket, backlog: 1 }, () => {
    process.stdout.write('listening');
    require('node:fs').readSync(0, Buffer.alloc(1));
  });
`;

test('a listener that has no time for more is waited for', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-unix-'));
  t.after(() => rm(directory, { recursive: true }));
  const socket = path.join(directory, 'socket');
  const listener = spawn(process.execPath, ['-e', busyListener, socket], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  t.after(() => listener.kill('SIGKILL'));
  await once(listener.stdout, 'data');
  const first = [await connectUnix(socket), await connectUnix(socket)];
  await assert.rejects(once(net.connect(socket), 'connect'), { code: 'EAGAIN' });
  const later = [connectUnix(socket), connectUnix(socket)];
  listener.stdin.write('!');
  for (const connection of [...first, ...(await Promise.all(later))]) connection.destroy();
});
