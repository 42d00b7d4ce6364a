import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytesOnly, countsAsActivity, cpuPercent, defaultActivity } from './activity.ts';

test('by itself nothing but bytes counts', () => {
  assert.equal(countsAsActivity(bytesOnly, { requests: 2, execSessions: 3, cpuPercent: 100 }), false);
  assert.equal(countsAsActivity(bytesOnly, { requests: 0, execSessions: 0, cpuPercent: undefined }), false);
});

test('sessions and CPU count where they were asked for', () => {
  const exec = { requests: false, execSessions: true, guestCpuPercent: null };
  const cpu = { requests: false, execSessions: false, guestCpuPercent: 20 };
  const cases = [
    [exec, 1, 0, true],
    [exec, 0, 100, false],
    [cpu, 5, 19.9, false],
    [cpu, 0, 20, true],
    [cpu, 0, undefined, true],
    [{ requests: false, execSessions: true, guestCpuPercent: 20 }, 0, 5, false],
  ] as const;
  for (const [settings, execSessions, percent, expected] of cases) {
    assert.equal(countsAsActivity(settings, { requests: 9, execSessions, cpuPercent: percent }), expected);
  }
});

test('a request under way counts unless its owner, or the service, has it otherwise', () => {
  const seen = { requests: 1, execSessions: 0, cpuPercent: 0 };
  assert.equal(countsAsActivity(defaultActivity.relaxed, seen), true);
  assert.equal(countsAsActivity(defaultActivity.relaxed, { ...seen, requests: 0 }), false);
  assert.equal(countsAsActivity(defaultActivity.aws, seen), false);
});

test('the use of a CPU is that between two readings of one process', () => {
  const before = { at: 10_000, cpuSeconds: 3 };
  assert.equal(cpuPercent(before, { at: 15_000, cpuSeconds: 4 }), 20);
  assert.equal(cpuPercent(before, { at: 11_000, cpuSeconds: 5 }), 200);
  assert.equal(cpuPercent(before, { at: 15_000, cpuSeconds: 3 }), 0);
  assert.equal(cpuPercent(undefined, before), undefined);
  assert.equal(cpuPercent(before, { at: 15_000, cpuSeconds: 1 }), undefined, 'another process');
  assert.equal(cpuPercent(before, { at: 10_100, cpuSeconds: 3.1 }), undefined, 'too soon');
});
