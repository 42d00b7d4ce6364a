import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  CreateMicrovmImageCommand,
  type CreateMicrovmImageCommandInput,
  GetMicrovmCommand,
  LambdaMicrovmsClient,
  paginateListMicrovms,
  RunMicrovmCommand,
  type RunMicrovmCommandInput,
  TerminateMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import { pino } from 'pino';
import { newMicrovm } from '../../src/microvms/new-microvm.ts';
import { createMicrovmService } from '../../src/microvms/service.ts';
import { managedBaseImageArn } from '../../src/model/arn.ts';
import { systemClock } from '../../src/model/clock.ts';
import { limits, type Profile } from '../../src/model/limits.ts';
import type { Microvm } from '../../src/model/microvm.ts';
import { openDatabase } from '../../src/store/database.ts';
import { MicrovmRepository } from '../../src/store/microvms.ts';
import { originForTest } from '../../src/vmm/origin-for-test.ts';
import type { Vmm } from '../../src/vmm/vmm.ts';
import { createMemoryImages } from '../api/doubles/images.ts';
import { createMemoryLogs } from '../api/doubles/logs.ts';
import { realm, startServer } from '../api/server.ts';
import { until } from '../support/until.ts';

/** What RunMicrovm is held against, by the real rules, on a machine whose launches end when the test says so. */

async function start(context: TestContext, profile: Profile = 'relaxed') {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-rules-'));
  const store = await openDatabase(':memory:');
  const images = createMemoryImages(realm, Date.now);
  const launches = new Map<string, PromiseWithResolvers<never>>();
  let over = false;
  const launchIn = (microvmId: string): PromiseWithResolvers<never> => {
    const launch = launches.get(microvmId) ?? Promise.withResolvers<never>();
    launches.set(microvmId, launch);
    launch.promise.catch(() => undefined);
    if (over) launch.reject(new Error('the test is over'));
    return launch;
  };
  const unused = async (): Promise<never> => assert.fail('nothing is booted or resumed here');
  const vmm: Vmm = {
    origin: originForTest,
    boot: unused,
    resume: unused,
    launch: (request) => launchIn(path.basename(request.directory)).promise,
    isSuspended: async () => false,
    isAtRest: async () => false,
    adopt: async () => undefined,
    copySuspended: unused,
    rollBack: unused,
    finishRollBack: unused,
    verifySuspended: unused,
    snapshotSuspended: unused,
    assertUsable: unused,
    verify: unused,
  };
  const microvms = createMicrovmService({
    store,
    vmm,
    images,
    logs: createMemoryLogs(),
    network: { attach: () => undefined, forget: () => undefined, refusalsOf: () => [] },
    connectors: { requireActive: () => undefined },
    clock: systemClock,
    logger: pino({ level: 'silent' }),
    directory,
    profile,
    region: realm.region,
    wakeCacheBytes: 0,
    warmPool: { kind: 'off' },
    capacity: {
      memoryBudgetBytes: Number.MAX_SAFE_INTEGER,
      cpuOvercommit: 0,
      diskReserveBytes: 0,
      evictIdle: false,
    },
  });
  const server = await startServer(profile, { services: { images, microvms } });
  const client = new LambdaMicrovmsClient({ ...server.client, maxAttempts: 1 });
  context.after(async () => {
    client.destroy();
    over = true;
    for (const microvmId of launches.keys()) launchIn(microvmId);
    await server.close();
    await microvms.close();
    await store.destroy();
    await rm(directory, { recursive: true, force: true });
    assert.deepEqual(server.faults, []);
  });
  let names = 0;
  return {
    client,
    async image(more: Partial<CreateMicrovmImageCommandInput> = {}): Promise<string> {
      names += 1;
      const command = new CreateMicrovmImageCommand({
        name: `image-${names}`,
        baseImageArn: managedBaseImageArn(realm.region),
        buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
        codeArtifact: { uri: 's3://bucket/app.zip' },
        // The real host has to have it.
        resources: [{ minimumMemoryInMiB: limits[profile].minimumMemoryMib }],
        ...more,
      });
      return (await client.send(command)).imageArn ?? '';
    },
    run: (input: RunMicrovmCommandInput) => client.send(new RunMicrovmCommand(input)),
    /** A sleeping microVM with so much memory. */
    async sleeper(imageArn: string, memoryMib: number): Promise<void> {
      const settings = {
        imageArn,
        imageVersion: '1.0',
        executionRoleArn: null,
        idlePolicy: null,
        logging: null,
        maximumDurationInSeconds: 28_800,
        ingressNetworkConnectors: [],
        egressNetworkConnectors: [],
        memoryMib,
      };
      const vm: Microvm = { ...newMicrovm(settings, Date.now()), state: 'SUSPENDED' };
      const beginning = { runHookPayload: null, forkedFrom: null };
      await new MicrovmRepository(store).insert([vm], beginning, undefined);
    },
    /** Ends a microVM, whether its launch is under way or waits for its turn. */
    async end(microvmIdentifier: string | undefined): Promise<void> {
      launchIn(microvmIdentifier ?? '').reject(new Error('there is no such machine'));
      await client.send(new TerminateMicrovmCommand({ microvmIdentifier }));
      const state = async () => (await client.send(new GetMicrovmCommand({ microvmIdentifier }))).state;
      await until('it has ended', async () => (await state()) === 'TERMINATED');
    },
  };
}

test('the same client token with the same parameters is the same microVM, whatever became of it', async (context) => {
  const { image, run, end } = await start(context);
  const input = { imageIdentifier: await image(), clientToken: 'once', maximumDurationInSeconds: 60 };
  const all = await Promise.all([run(input), run(input), run(input)]);
  const [first] = all;
  assert.equal(new Set(all.map(({ microvmId }) => microvmId)).size, 1, 'also at the same time');
  await end(first.microvmId);
  assert.equal((await run(input)).microvmId, first.microvmId);
  await assert.rejects(run({ ...input, maximumDurationInSeconds: 61 }), { name: 'ConflictException' });
  assert.notEqual((await run({ ...input, clientToken: 'twice' })).microvmId, first.microvmId);
});

test('the memory of an account is one for all, and free again when a microVM has ended', async (context) => {
  const { image, run, end, sleeper } = await start(context, 'aws');
  const imageIdentifier = await image();
  await sleeper(imageIdentifier, limits.aws.accountMemoryMib - limits.aws.minimumMemoryMib);
  const { microvmId } = await run({ imageIdentifier });
  await assert.rejects(
    run({ imageIdentifier }),
    (error: Error & { $metadata: { httpStatusCode: number } }) => {
      assert.equal(error.name, 'ServiceQuotaExceededException');
      assert.equal(error.$metadata.httpStatusCode, 402);
      assert.equal(
        error.message,
        'The base maximum allocated memory limit has been reached for this account.',
      );
      return true;
    },
  );
  await end(microvmId);
  await run({ imageIdentifier });
});

test('a payload needs the run hook, and its length is looked at before', async (context) => {
  const { image, run } = await start(context);
  const without = await image();
  const needed = 'The run hook must be enabled in the MicroVM image to pass the run hook payload';
  await assert.rejects(run({ imageIdentifier: without, runHookPayload: 'x' }), { message: needed });
  await assert.rejects(
    run({ imageIdentifier: without, runHookPayload: 'x'.repeat(4097) }),
    /at 'runHookPayload'/,
  );
  await assert.rejects(
    run({ imageIdentifier: 'no-arn', runHookPayload: 'x'.repeat(4097) }),
    /at 'runHookPayload'/,
  );
  const hooks = {
    port: 9000,
    microvmHooks: { run: 'ENABLED' as const },
    microvmImageHooks: { ready: 'ENABLED' as const },
  };
  const withHook = await image({ hooks });
  assert.equal((await run({ imageIdentifier: withHook, runHookPayload: 'x'.repeat(4096) })).state, 'PENDING');
});

test('pages of microVMs are stable while others come and end', async (context) => {
  const { client, image, run, end } = await start(context);
  const imageIdentifier = await image();
  const known = new Set<string | undefined>();
  for (let vm = 0; vm < 9; vm += 1) known.add((await run({ imageIdentifier })).microvmId);
  const found: (string | undefined)[] = [];
  for await (const { items = [] } of paginateListMicrovms({ client, pageSize: 2 }, { imageIdentifier })) {
    found.push(...items.map(({ microvmId }) => microvmId));
    const [newcomer] = await Promise.all([run({ imageIdentifier }), end(items[0]?.microvmId)]);
    assert.ok(!found.includes(newcomer.microvmId), 'a newcomer is not in pages that went before');
  }
  assert.equal(new Set(found).size, found.length, 'nothing comes twice');
  assert.deepEqual(new Set(found), known, 'nothing is left out');
});
