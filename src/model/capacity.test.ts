import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { CapacityLedger, type CapacityLimits, CostModel, type HostState } from './capacity.ts';

const limits: CapacityLimits = { memoryBytes: 1000, memoryReserveBytes: 100, vcpus: 8, diskReserveBytes: 50 };
const roomy: HostState = { availableMemoryBytes: 10_000, freeDiskBytes: 100_000, heldBytes: 0 };

test('what is admitted never exceeds a limit, whatever comes and goes', () => {
  const cost = fc.record({
    memoryBytes: fc.integer({ min: 1, max: 400 }),
    vcpus: fc.integer({ min: 1, max: 4 }),
  });
  const order = fc.oneof(
    fc.record({ kind: fc.constant('take' as const), id: fc.integer({ min: 0, max: 9 }), cost }),
    fc.record({
      kind: fc.constantFrom('give' as const, 'settle' as const),
      id: fc.integer({ min: 0, max: 9 }),
    }),
  );
  const host = fc.record({
    availableMemoryBytes: fc.integer({ min: 0, max: 2000 }),
    freeDiskBytes: fc.integer({ min: 0, max: 2000 }),
    heldBytes: fc.integer({ min: 0, max: 500 }),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(order, host), { maxLength: 60 }), (steps) => {
      const ledger = new CapacityLedger();
      const expected = new Map<string, { memoryBytes: number; vcpus: number }>();
      for (const [step, state] of steps) {
        const id = String(step.id);
        if (step.kind === 'take') {
          if (ledger.has(id) || ledger.shortage(step.cost, limits, state) !== undefined) continue;
          ledger.take(id, step.cost);
          expected.set(id, step.cost);
          assert.ok(ledger.memoryBytes + state.heldBytes <= limits.memoryBytes);
          assert.ok(ledger.vcpus <= limits.vcpus);
          assert.ok(step.cost.memoryBytes + limits.memoryReserveBytes <= state.availableMemoryBytes);
          assert.ok(ledger.memoryBytes + limits.diskReserveBytes <= state.freeDiskBytes);
        } else if (step.kind === 'give') {
          assert.equal(ledger.give(id), expected.delete(id));
        } else {
          ledger.settle(id);
        }
        const sum = [...expected.values()].reduce((total, { memoryBytes }) => total + memoryBytes, 0);
        assert.equal(ledger.memoryBytes, sum);
        assert.equal(ledger.size, expected.size);
      }
    }),
  );
});

test('what was admitted and cannot be seen yet counts against the memory the host has', () => {
  const ledger = new CapacityLedger();
  const host = { ...roomy, availableMemoryBytes: 500 };
  const cost = { memoryBytes: 250, vcpus: 1 };
  assert.equal(ledger.shortage(cost, limits, host), undefined);
  ledger.take('one', cost);
  assert.deepEqual(ledger.shortage(cost, limits, host), {
    resource: 'memory',
    missing: 100,
    wanted: 250,
    most: 1000,
    never: false,
  });
  ledger.settle('one');
  assert.equal(ledger.shortage(cost, limits, host), undefined);
});

test('each resource is told from the others', () => {
  const ledger = new CapacityLedger();
  const small = { memoryBytes: 1, vcpus: 1 };
  const shortage = (more: Partial<HostState>, cost = small) =>
    ledger.shortage(cost, limits, { ...roomy, ...more })?.resource;
  assert.equal(shortage({}), undefined);
  assert.equal(shortage({ heldBytes: 1000 }), 'memory');
  assert.equal(shortage({}, { memoryBytes: 1, vcpus: 9 }), 'CPU');
  assert.equal(shortage({ freeDiskBytes: 50 }), 'disk');
});

test('VMs of a kind are expected to take what others of it took, and no less', () => {
  const costs = new CostModel();
  const unknown = costs.expect('a', 512);
  assert.ok(unknown > 256 * 1024 ** 2 && unknown < 512 * 1024 ** 2);
  costs.measure('a', 80_000_000);
  assert.equal(costs.expect('a', 512), 100_000_000);
  for (let i = 0; i < 50; i += 1) costs.measure('a', 160_000_000);
  assert.ok(Math.abs(costs.expect('a', 512) - 200_000_000) < 1_000);
  assert.equal(costs.expect('b', 512), unknown);
});
