import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { parseActivity } from './activity-settings.ts';

test('what keeps a microVM awake', () => {
  assert.deepEqual(['exec', 'cpu=20%', 'cpu=100%,exec', 'bytes'].map(parseActivity), [
    { execSessions: true, guestCpuPercent: null },
    { execSessions: false, guestCpuPercent: 20 },
    { execSessions: true, guestCpuPercent: 100 },
    { execSessions: false, guestCpuPercent: null },
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
