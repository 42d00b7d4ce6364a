import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { realm, startServer } from '../api/server.ts';
import { pythonClients } from '../support/python-clients.ts';
import { exportedFor } from './environment.ts';

const program = fileURLToPath(new URL('boto3_client.py', import.meta.url));
const group = '/aws/lambda-microvms/boto';
const clients = await pythonClients();

interface Line {
  readonly name?: string;
  readonly problem?: string;
  readonly ready?: string;
}

test('boto3, unmodified and configured by its environment alone', { skip: clients.skip }, async (context) => {
  assert(clients.skip === false);
  const server = await startServer('relaxed');
  context.after(() => server.close());
  const write = (message: string): Promise<void> =>
    server.services.logs.append(group, 'one', [{ timestamp: Date.now(), message }]);
  for (const message of ['1', '2', '3', '4', '5']) await write(message);
  const child = spawn(clients.python, [program], {
    env: {
      PATH: process.env.PATH ?? '',
      HOME: '/nonexistent',
      ...exportedFor(server),
      ACCOUNT_ID: realm.accountId,
      LOG_GROUP: group,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors = text(child.stderr);
  const names: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const { name, problem, ready } = JSON.parse(line) as Line;
    if (ready === 'tail') await write('while you look');
    if (name === undefined) continue;
    names.push(name);
    await context.test(name, () => assert.equal(problem ?? '', ''));
  }
  assert.equal(names.length, 7, await errors);
  assert.deepEqual(server.faults, []);
});
