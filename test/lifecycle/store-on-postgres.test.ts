import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GetMicrovmImageCommand, SuspendMicrovmCommand } from '@aws-sdk/client-lambda-microvms';
import { builtImage, counterContext, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { PostgresServer, postgresPrograms } from '../support/postgres-server.ts';

/** Asleep only when told, awake again for a request. */
const idlePolicy = { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 3600, autoResumeEnabled: true };

const programs = await postgresPrograms();
const skip = programs === undefined && 'no PostgreSQL server is here (Debian package postgresql)';

describe('a server with its metadata in PostgreSQL', { skip, timeout: 900_000 }, () => {
  let directory: string;
  let postgres: PostgresServer;
  let flags: readonly string[];
  let server: DormouseServer;
  let imageArn: string;
  let vms: CounterVms;

  before(async () => {
    directory = await temporaryDirectory();
    postgres = await PostgresServer.start(programs ?? '');
    flags = ['--database', await postgres.newDatabase()];
    server = await DormouseServer.start(directory, flags);
    imageArn = await createImage(server, 'counter', await zip(await counterContext()));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
    await postgres.stop();
  });

  test('a microVM lives on over a killed server and a killed database', async () => {
    let vm = await vms.run({ idlePolicy });
    assert.equal((await vms.count(vm)).memory, 1);
    await server.kill();
    await postgres.kill();
    await postgres.begin();
    server = await DormouseServer.start(directory, flags);
    vms.server = server;
    // The next server has other ports.
    vm = { ...vm, endpoint: (await vms.describe(vm)).endpoint };
    assert.equal((await vms.count(vm)).memory, 2);
    await vms.suspend(vm);
    assert.equal((await vms.count(vm)).memory, 3);
  });

  test('a database that is killed while microVMs are put to sleep costs none of them its sleep', async () => {
    const sleepers = [await vms.run({ idlePolicy }), await vms.run({ idlePolicy })];
    for (const vm of sleepers) assert.equal((await vms.count(vm)).memory, 1);
    const suspends = sleepers.map(({ microvmId }) =>
      server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: microvmId })),
    );
    await Promise.all(suspends);
    await postgres.kill();
    await postgres.begin();
    for (const vm of sleepers) {
      await vms.reaches(vm, 'SUSPENDED');
      assert.equal((await vms.count(vm)).memory, 2);
    }
  });

  test('another store does not take what this one knows of for rubbish', async () => {
    await server.stop();
    const refused = /was (not )?filled under/;
    await assert.rejects(DormouseServer.start(directory), refused);
    const other = await postgres.newDatabase();
    await assert.rejects(DormouseServer.start(directory, ['--database', other]), refused);
    const elsewhere = await temporaryDirectory();
    await assert.rejects(
      DormouseServer.start(elsewhere, flags),
      /belongs to the server of another data directory/,
    );
    await removeDataDirectory(elsewhere);
    server = await DormouseServer.start(directory, flags);
    vms.server = server;
    const image = await server.client.send(new GetMicrovmImageCommand({ imageIdentifier: imageArn }));
    assert.equal(image.state, 'CREATED');
    assert.equal((await vms.count(await vms.run())).memory, 1);
  });
});
