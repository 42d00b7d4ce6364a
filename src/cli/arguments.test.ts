import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import { collectHook, collectVariables, parseDuration, parseMemory, parsePort } from './arguments.ts';

test('durations', () => {
  const cases: readonly [string, number][] = [
    ['90', 90],
    ['90s', 90],
    ['15m', 900],
    ['8h', 28_800],
    ['2d', 172_800],
    ['0', 0],
  ];
  for (const [text, seconds] of cases) assert.equal(parseDuration(text), seconds);
  for (const text of ['', '-1', '1.5h', '1w', 's', '1h30m']) {
    assert.throws(() => parseDuration(text), InvalidArgumentError, text);
  }
});

test('memory sizes', () => {
  assert.deepEqual(['512', '512M', '2G', '1g'].map(parseMemory), [512, 512, 2048, 1024]);
  for (const text of ['', '1T', '-2G', '0.5G']) assert.throws(() => parseMemory(text), InvalidArgumentError);
});

test('ports', () => {
  assert.deepEqual(['0', '8080', '65535'].map(parsePort), [0, 8080, 65_535]);
  for (const text of ['', '65536', '-1', '0x50', '80 '])
    assert.throws(() => parsePort(text), InvalidArgumentError);
});

test('variables are collected, later ones win, values keep their equals signs', () => {
  const first = collectVariables('A=1', undefined);
  assert.deepEqual(collectVariables('A=b=c', collectVariables('EMPTY=', first)), { A: 'b=c', EMPTY: '' });
  for (const text of ['A', '=1'])
    assert.throws(() => collectVariables(text, undefined), InvalidArgumentError);
});

test('hooks come with or without a timeout', () => {
  assert.deepEqual(collectHook('ready=2m', collectHook('run', undefined)), { run: undefined, ready: 120 });
  for (const text of ['stop', '', 'run=x'])
    assert.throws(() => collectHook(text, undefined), InvalidArgumentError);
});
