import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidArgumentError } from 'commander';
import {
  collectForwarding,
  collectHook,
  collectOwnVariables,
  collectSecret,
  collectVariables,
  parseDuration,
  parseMemory,
  parsePort,
  parsePortAndProtocol,
  parseReadyTimeout,
} from './arguments.ts';

test('a variable without a value is that of the environment, if it is there', () => {
  const earlier = collectOwnVariables('A=1', undefined);
  const { PATH } = process.env;
  assert.deepEqual(collectOwnVariables('PATH', earlier), { A: '1', PATH });
  assert.deepEqual(collectOwnVariables('DORMOUSE_NOT_SET', earlier), { A: '1' });
  assert.throws(() => collectOwnVariables('=1', undefined), InvalidArgumentError);
});

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

test('how long a build waits for an application', () => {
  assert.deepEqual(['1', '90s', '60m'].map(parseReadyTimeout), [1, 90, 3600]);
  for (const text of ['0', '3601', '2h', '1w']) {
    assert.throws(() => parseReadyTimeout(text), InvalidArgumentError, text);
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

test('ports with a protocol', () => {
  assert.deepEqual(['53', '53/tcp', '53/udp'].map(parsePortAndProtocol), [
    { port: 53, protocol: 'tcp' },
    { port: 53, protocol: 'tcp' },
    { port: 53, protocol: 'udp' },
  ]);
  for (const text of ['', '0', '65536', '53/', '53/sctp', 'udp', '53/UDP'])
    assert.throws(() => parsePortAndProtocol(text), InvalidArgumentError, text);
});

test('forwardings are collected', () => {
  const texts = ['6379', '5432:15432', '8125:9125/udp', '53:0/udp', '53/udp'];
  const collected = texts.reduce<ReturnType<typeof collectForwarding> | undefined>(
    (earlier, text) => collectForwarding(text, earlier),
    undefined,
  );
  assert.deepEqual(collected, [
    { guestPort: 6379, localPort: 6379, protocol: 'tcp' },
    { guestPort: 5432, localPort: 15432, protocol: 'tcp' },
    { guestPort: 8125, localPort: 9125, protocol: 'udp' },
    { guestPort: 53, localPort: 0, protocol: 'udp' },
    { guestPort: 53, localPort: 53, protocol: 'udp' },
  ]);
  for (const text of ['', '0', '0:80', '80:65536', '80:', '80/udp:81', ':80'])
    assert.throws(() => collectForwarding(text, undefined), InvalidArgumentError, text);
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

test('secrets of a build', () => {
  const [file, variable] = collectSecret('id=b,env=B', collectSecret('id=a,src=./a.txt'));
  assert.deepEqual(file, { id: 'a', file: './a.txt' });
  assert.deepEqual(variable, { id: 'b', variable: 'B' });
  assert.deepEqual(collectSecret('type=file,id=c'), [{ id: 'c', file: 'c' }]);
  for (const text of ['', 'a', 'id=,src=x', 'id=../x,src=x', 'id=dormouse-x,src=x', 'id=a,mode=1']) {
    assert.throws(() => collectSecret(text), InvalidArgumentError, text);
  }
  assert.throws(() => collectSecret('id=a,src=y', collectSecret('id=a,src=x')), /given twice/);
});
