import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { RunMicrovmCommandOutput } from '@aws-sdk/client-lambda-microvms';
import { dormouse, goingDormouse, run } from '../support/cli.ts';
import { builtImage, createImage, exampleContext, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { absence } from '../support/programs.ts';

const skip = await absence('psql', 'postgresql-client');
/** Debian has it in the package of the server, which nobody wants on their machine for a test. */
const noPgbench = await promisify(execFile)('pgbench', ['--version']).then(
  () => false,
  // Of the client's package there is a wrapper of this name, which finds nothing to start.
  () => 'pgbench is not installed (Debian package postgresql-15, or another of the server)',
);

describe('PostgreSQL in a microVM, with the clients of PostgreSQL', { skip, timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;
  let vm: RunMicrovmCommandOutput;
  let hostPort: number;

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    const members = { resources: [{ minimumMemoryInMiB: 512 }] };
    const imageArn = await createImage(
      server,
      'postgres',
      await zip(await exampleContext('postgres')),
      members,
    );
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
    const { stdout, stderr } = await dormouse(server, 'run postgres --idle 10m --wait --json'.split(' '));
    vm = JSON.parse(stdout || stderr) as RunMicrovmCommandOutput;
    const published = await dormouse(server, ['publish', vm.microvmId ?? '', '5432', '--json']);
    ({ hostPort } = JSON.parse(published.stdout) as { hostPort: number });
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
  });

  async function client(program: 'psql' | 'pgbench', port: number, ...words: string[]): Promise<string> {
    const address = ['--host', '127.0.0.1', '--port', String(port), '--username', 'postgres'];
    const { code, stdout, stderr } = await run(program, [...address, ...words]);
    assert.equal(code, 0, stderr);
    return stdout;
  }

  test('psql through a published and a forwarded port, with a sleep in between', async () => {
    const query = (port: number, sql: string): Promise<string> =>
      client('psql', port, '--tuples-only', '--no-align', '--command', sql);
    await query(hostPort, "create table things (name text); insert into things values ('kept')");
    await vms.suspend(vm);
    assert.equal(await query(hostPort, 'select name from things'), 'kept\n');

    const forward = await goingDormouse(server, ['forward', vm.microvmId ?? '', '5432:0']);
    const port = Number(/^127\.0\.0\.1:(\d+) → /.exec(forward.firstLine)?.[1]);
    await vms.suspend(vm);
    assert.equal(await query(port, 'select count(*) from things'), '1\n');
    const rows = await query(port, "select repeat('x', 1000) from generate_series(1, 900)");
    assert.equal(rows.length, 900 * 1001, 'a large answer comes whole');
    assert.equal(await forward.interrupt(), 0);
  });

  test('pgbench, before a sleep and after it', { skip: noPgbench }, async (t) => {
    // Its own tables take longer to fill than everything else here.
    const script = path.join(directory, 'insert.sql');
    await writeFile(script, "insert into transactions values ('one');\nselect count(*) from transactions;\n");
    await client('psql', hostPort, '--command', 'create table transactions (name text)');
    for (const when of ['awake', 'from asleep']) {
      if (when === 'from asleep') await vms.suspend(vm);
      const words = ['--no-vacuum', '--client=4', '--transactions=25', `--file=${script}`, 'postgres'];
      const report = await client('pgbench', hostPort, ...words);
      assert.match(report, /number of transactions actually processed: 100\/100/);
      assert.match(report, /number of failed transactions: 0 /);
      t.diagnostic(`${when}: ${/tps = [\d.]+/.exec(report)?.[0]}`);
    }
    const counted = await client('psql', hostPort, '-At', '--command', 'select count(*) from transactions');
    assert.equal(counted, '200\n');
  });
});
