import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { Microvm } from '../../../src/model/microvm.ts';
import { findClaim } from '../../../src/store/client-tokens.ts';
import { EventLog } from '../../../src/store/event-log.ts';
import { LeaseRepository } from '../../../src/store/leases.ts';
import { MicrovmRepository } from '../../../src/store/microvms.ts';
import type { OpenStore } from '../exam.test.ts';

/** Milliseconds since the epoch: more than 32 bits hold. */
const now = 1_796_092_614_449;

export function microvm(change: Partial<Microvm> = {}): Microvm {
  return {
    microvmId: `microvm-${randomUUID()}`,
    endpointId: randomUUID(),
    state: 'PENDING',
    stateReason: null,
    imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:web',
    imageVersion: '1.0',
    executionRoleArn: null,
    idlePolicy: { maxIdleDurationSeconds: 30, suspendedDurationSeconds: 3600, autoResumeEnabled: true },
    logging: null,
    maximumDurationInSeconds: 31_536_000_000,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: ['arn:aws:lambda:us-east-1:aws:network-connector:INTERNET_EGRESS'],
    memoryMib: 256,
    startedAt: now,
    suspendedAt: null,
    terminatedAt: null,
    ...change,
  };
}

const beginning = { runHookPayload: '{"a":1}', forkedFrom: null };

export function examineMicrovms(open: OpenStore): void {
  test('a microVM is read as it was stored, its times as numbers', async (t) => {
    const repository = new MicrovmRepository(await open(t));
    const vm = microvm();
    await repository.insert([vm], beginning, undefined);
    assert.deepEqual(await repository.get(vm.microvmId), vm);
    assert.deepEqual(await repository.getByEndpoint(vm.endpointId), vm);
    assert.deepEqual(await repository.beginning(vm.microvmId), beginning);
    assert.equal((await repository.lastActivity(vm.microvmId)) + 30_000, now + 30_000);
    assert.equal(await repository.liveMemoryMib(), 256);
    assert.equal((await repository.countLive()).get('PENDING'), 1);
  });

  test('a transition happens once, from the state it starts in', async (t) => {
    const store = await open(t);
    const repository = new MicrovmRepository(store);
    const vm = microvm();
    await repository.insert([vm], beginning, undefined);
    const running = { ...vm, state: 'RUNNING' } as const;
    const times = [1, 2, 3].map((later) => ({ now: now + later, lastActivityAt: now + later }));
    const attempts = await Promise.all(times.map((at) => repository.transition(running, 'PENDING', at)));
    assert.deepEqual(attempts.toSorted(), [false, false, true]);
    assert.deepEqual(await repository.get(vm.microvmId), running);
    assert.equal((await repository.beginning(vm.microvmId)).runHookPayload, null);
  });

  test('a transition whose answer was lost is stored once, and the next begins where it has led', async (t) => {
    const store = await open(t);
    const log = new EventLog(store);
    const repository = new MicrovmRepository(store, log);
    const vm = { ...microvm(), state: 'SUSPENDING' } as const;
    await repository.insert([vm], beginning, undefined);
    const asleep = (at: number) => ({ ...vm, state: 'SUSPENDED', suspendedAt: at }) as const;
    const times = (at: number) => ({ now: at, lastActivityAt: at });
    assert.ok(await repository.transition(asleep(now), 'SUSPENDING', times(now)));
    // Tried again a while later.
    const attempted = new Set(['SUSPENDED'] as const);
    const again = { ...times(now + 5), attempted };
    assert.equal(await repository.transition(asleep(now + 5), 'SUSPENDING', times(now + 5)), false);
    assert.ok(await repository.transition(asleep(now + 5), 'SUSPENDING', again));
    assert.deepEqual(await repository.get(vm.microvmId), asleep(now + 5));
    const ending = { ...asleep(now), state: 'TERMINATING' } as const;
    assert.ok(await repository.transition(ending, 'SUSPENDING', { ...times(now + 6), attempted }));
    const told = (await log.read(0, 10)).map(({ from, to }) => `${from} ${to}`);
    assert.deepEqual(told, ['null SUSPENDING', 'SUSPENDING SUSPENDED', 'SUSPENDED TERMINATING']);
  });

  test('what is told of activity never goes back', async (t) => {
    const repository = new MicrovmRepository(await open(t));
    const vm = microvm();
    await repository.insert([vm], beginning, undefined);
    for (const at of [now + 5000, now + 2000]) await repository.storeActivity(new Map([[vm.microvmId, at]]));
    assert.equal(await repository.lastActivity(vm.microvmId), now + 5000);
  });

  test('microVMs are listed newest first, page by page, whatever was launched at the same moment', async (t) => {
    const repository = new MicrovmRepository(await open(t));
    const vms = [0, 0, 0, 1, 2].map((later) => microvm({ startedAt: now + later }));
    await repository.insert(vms, beginning, undefined);
    const seen: string[] = [];
    let after: string | undefined;
    do {
      const page = await repository.list({ limit: 2, after }, {});
      seen.push(...page.items.map(({ microvmId }) => microvmId));
      after = page.next;
    } while (after !== undefined);
    const expected = vms
      .toSorted((a, b) => b.startedAt - a.startedAt || (a.microvmId < b.microvmId ? 1 : -1))
      .map(({ microvmId }) => microvmId);
    assert.deepEqual(seen, expected);
  });

  test('a client token is claimed with what it made, or neither is stored', async (t) => {
    const store = await open(t);
    const repository = new MicrovmRepository(store);
    const claim = { principal: 'somebody', scope: 'RunMicrovm', token: 'once', parameters: { b: 1, a: 2 } };
    const [first, second] = [microvm(), microvm()];
    await repository.insert([first], beginning, claim);
    await assert.rejects(repository.insert([second], beginning, claim));
    assert.equal(await repository.get(second.microvmId), undefined);
    assert.equal(await findClaim(store, { ...claim, parameters: { a: 2, b: 1 } }), first.microvmId);
    await assert.rejects(findClaim(store, { ...claim, parameters: {} }), { name: 'ServiceError' });
    assert.equal(await findClaim(store, { ...claim, principal: 'another' }), undefined);
    const another = { ...claim, principal: 'another' };
    await repository.insert([second], beginning, another);
    assert.equal(await findClaim(store, another), second.microvmId);
  });

  test('a lease is replaced and removed', async (t) => {
    const leases = new LeaseRepository(await open(t));
    await leases.set('microvm-1', now);
    await leases.set('microvm-1', now + 1);
    assert.deepEqual(await leases.listAll(), [{ microvmId: 'microvm-1', endsAt: now + 1 }]);
    await leases.remove('microvm-1');
    assert.deepEqual(await leases.listAll(), []);
  });
}
