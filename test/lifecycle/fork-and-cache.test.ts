import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import {
  GetMicrovmCommand,
  ResumeMicrovmCommand,
  type RunMicrovmCommandOutput,
} from '@aws-sdk/client-lambda-microvms';
import { Client } from '../../src/cli/client.ts';
import { type EventMessage, readEvents } from '../../src/cli/event-stream.ts';
import { parseMetrics } from '../../src/telemetry/metrics-for-test.ts';
import { builtImage, counterContext, createImage, zip } from '../support/counter-image.ts';
import { type Counter, CounterVms, continues } from '../support/counter-vms.ts';
import {
  DormouseServer,
  processesUsing,
  removeDataDirectory,
  temporaryDirectory,
} from '../support/dormouse-server.ts';
import { signedSuccess } from '../support/signed-request.ts';

const idlePolicy = { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 600, autoResumeEnabled: true };

async function allEvents(server: DormouseServer): Promise<readonly EventMessage[]> {
  const everything = { types: undefined, microvmId: undefined, imageArn: undefined };
  const query = { ...everything, after: 0, follow: false, onGap: () => assert.fail('events are missing') };
  return await Array.fromAsync(readEvents(new Client(server.ready), query));
}

describe('forks and the wake cache', { timeout: 600_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;

  /** Sequences of the events that a webhook was told, as they came. */
  const told: number[] = [];
  const receiver = http.createServer(async (request, response) => {
    told.push((JSON.parse(await text(request)) as EventMessage).sequence);
    response.end();
    receiver.emit('told');
  });

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory, ['--wake-cache', '1024']);
    await once(receiver.listen(0, '127.0.0.1'), 'listening');
    const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
    await new Client(server.ready).extension('/dormouse/v1/webhooks', undefined, {
      method: 'POST',
      body: { url, types: ['microvm.*'] },
    });
    const imageArn = await createImage(server, 'counter', await zip(await counterContext()));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
  });

  after(async () => {
    receiver.closeAllConnections();
    receiver.close();
    await server.stop();
    await removeDataDirectory(directory);
  });

  async function fork(
    vm: RunMicrovmCommandOutput,
    count: number,
  ): Promise<readonly RunMicrovmCommandOutput[]> {
    const path = `/dormouse/v1/microvms/${vm.microvmId}/fork`;
    const { items } = await signedSuccess(server.ready, 'POST', path, { count });
    return items as RunMicrovmCommandOutput[];
  }

  function processOf(vm: RunMicrovmCommandOutput): Promise<readonly number[]> {
    return processesUsing(`${directory}/microvms/${vm.microvmId}`);
  }

  test('forks continue from the parent, each by itself, with randomness of its own', async () => {
    const parent = await vms.run({ idlePolicy });
    const before = await vms.count(parent);
    const children = await fork(parent, 2);
    const [first, second] = children;
    assert.ok(first && second && children.length === 2);
    const counts: Counter[] = [];
    for (const child of [parent, ...children]) counts.push(await vms.count(child));
    for (const count of counts) continues(before, count);
    continues(counts[1] ?? before, await vms.count(first));
    assert.equal(new Set(counts.map((count) => count.random)).size, 3);
    assert.equal(new Set(counts.map((count) => count.hostname)).size, 3);

    await vms.suspend(first);
    await server.client.send(new ResumeMicrovmCommand({ microvmIdentifier: first.microvmId }));
    assert.equal((await vms.count(first)).memory, before.memory + 3);
    await vms.terminate(parent);
    assert.equal((await vms.count(second)).memory, before.memory + 2, 'a child outlives its parent');
    await Promise.all([vms.terminate(first), vms.terminate(second)]);
  });

  test('the metrics tell what was done', async () => {
    const response = await fetch(`${server.ready.apiEndpoint}/metrics`);
    const samples = parseMetrics(await response.text());
    const transitions = (transition: string): number =>
      samples.get(
        `dormouse_microvm_transition_duration_seconds_count{transition="${transition}",outcome="success"}`,
      ) ?? 0;
    assert.equal(transitions('launch'), 3);
    assert.equal(transitions('terminate'), 3);
    assert.equal(transitions('fork'), 1);
    assert.equal(transitions('suspend'), 1);
    assert.equal(transitions('resume'), 1);
    assert.equal(samples.get('dormouse_wake_cache_hits_total'), 1);
    assert.equal(samples.get('dormouse_wake_cache_misses_total'), 0);
    assert.equal(samples.get('dormouse_microvms{state="RUNNING"}'), 0);
    assert.equal(samples.get('dormouse_image_build_duration_seconds_count{outcome="success"}'), 1);
    assert.equal(samples.get('dormouse_endpoint_requests_total{kind="http/1.1"}'), 7);
    assert.ok((samples.get('dormouse_endpoint_bytes_total{direction="out"}') ?? 0) > 1000);
    assert.ok((samples.get('dormouse_data_directory_bytes{part="images"}') ?? 0) > 1_000_000);
  });

  test('a sleeping VM whose process is kept wakes in it, and from the disk without it', async () => {
    const vm = await vms.run({ idlePolicy });
    const before = await vms.count(vm);
    await vms.suspend(vm);
    const [kept] = await processOf(vm);
    assert.ok(kept, 'the process is kept');
    const second = await vms.count(vm);
    continues(before, second);
    assert.deepEqual(await processOf(vm), [kept], 'the same process goes on');

    await vms.suspend(vm);
    process.kill(kept, 'SIGKILL');
    const third = await vms.count(vm);
    continues(second, third);

    await vms.suspend(vm);
    await server.kill();
    server = await DormouseServer.start(directory, ['--wake-cache', '1024']);
    vms.server = server;
    assert.equal(await vms.state(vm), 'SUSPENDED');
    assert.deepEqual(await processOf(vm), [], 'a new server starts without a cache');
    const { endpoint } = await server.client.send(new GetMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    continues(third, await vms.count({ ...vm, endpoint }));
    await vms.terminate(vm);
    assert.deepEqual(await processOf(vm), []);
  });

  test('all that happened is in the events, without a gap and across the restart', async () => {
    const chains = new Map<string, string>();
    const launched = new Set<string>();
    const events = await allEvents(server);
    const sequences = events
      .filter(({ type }) => type.startsWith('microvm.'))
      .map(({ sequence }) => sequence);
    for (const event of events) {
      const subject = event.microvmId ?? event.buildId ?? event.imageVersion ?? event.imageArn;
      if (event.type.endsWith('active')) continue;
      assert.equal(event.from, chains.get(subject) ?? null, `${subject} became ${event.to}`);
      chains.set(subject, event.to);
      if (event.type === 'microvm.running' && event.from === 'PENDING') launched.add(subject);
    }
    for (const subject of launched) assert.equal(chains.get(subject), 'TERMINATED');
    const last = sequences.at(-1) ?? 0;
    while (!told.includes(last)) await once(receiver, 'told');
    // At least once, and in order: what is repeated is so because the server was killed before it knew.
    assert.deepEqual([...new Set(told)], sequences);
    assert.deepEqual(
      told,
      told.toSorted((a, b) => a - b),
    );
  });
});
