import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { parseActivity } from './activity-settings.ts';

test('what keeps a microVM awake', () => {
  assert.deepEqual(['exec', 'cpu=20%', 'cpu=100%,exec', 'bytes', 'requests,exec'].map(parseActivity), [
    { requests: false, execSessions: true, guestCpuPercent: null },
    { requests: false, execSessions: false, guestCpuPercent: 20 },
    { requests: false, execSessions: true, guestCpuPercent: 100 },
    { requests: false, execSessions: false, guestCpuPercent: null },
    { requests: true, execSessions: true, guestCpuPercent: null },
  ]);
  for (const text of [
    '',
    'cpu',
    'cpu=20',
    'cpu=0%',
    'cpu=101%',
    'exec,exec',
    'exec,bytes',
    'cpu=1%,cpu=2%',
    'disk',
  ])
    assert.throws(() => parseActivity(text), InvalidArgumentError, text);
});
