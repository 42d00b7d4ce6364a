import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { imageArn, managedBaseImageArn } from '../../src/model/arn.ts';
import { raw } from './raw.ts';
import { credentials, realm, startServer, type TestServer } from './server.ts';

let server: TestServer;

before(async () => {
  server = await startServer('relaxed');
});

after(async () => {
  await server.close();
  assert.deepEqual(server.faults, []);
});

test('tells that it is up to anyone, what it is to those who sign', async () => {
  assert.deepEqual(await (await fetch(`${server.url}/healthz`)).json(), { status: 'ok' });
  assert.equal((await fetch(`${server.url}/dormouse/v1/server`)).status, 403);
  assert.deepEqual((await raw(server, 'GET', '/dormouse/v1/server')).json, {
    ...realm,
    profile: 'relaxed',
    version: '0.0.0',
    vmm: 'qemu',
    accelerator: 'tcg',
    endpointDomain: 'microvm.localhost',
    endpointPort: 9443,
    caCertificate: 'PEM',
  });
});

test('inspects a microVM', async () => {
  await raw(server, 'POST', '/2025-09-09/microvm-images', {
    name: 'demo',
    baseImageArn: managedBaseImageArn(realm.region),
    buildRoleArn: `arn:aws:iam::${realm.accountId}:role/build`,
    codeArtifact: { uri: 's3://bucket/demo.zip' },
  });
  const run = await raw(server, 'POST', '/2025-09-09/microvms', { imageIdentifier: 'demo' });
  const { microvmId } = run.json as { microvmId: string };
  const { json } = await raw(server, 'GET', `/dormouse/v1/microvms/${microvmId}`);
  const details = json as Record<string, unknown>;
  assert.equal(details.state, 'RUNNING');
  assert.equal(details.vmmPid, 4711);
  assert.equal(details.memoryInMiB, 2048);
  assert.equal(details.suspendedAt, null);
  assert.ok(Math.abs(Number(details.lastActivityAt) - Date.now() / 1000) < 60);
  assert.equal((await raw(server, 'GET', '/dormouse/v1/microvms/other')).status, 404);
});

test('lists the versions that cannot be launched from, in order, with what to do', async (t) => {
  const { images } = server.services;
  const { unusableVersions } = images;
  t.after(() => Object.assign(images, { unusableVersions }));
  const path = '/dormouse/v1/image-conditions';
  assert.deepEqual((await raw(server, 'GET', path)).json, { versions: [] });
  const found = await images.getVersion(imageArn(realm, 'demo'), '1.0');
  const stateReason = 'Update the image.';
  const unusable = [
    { ...found, imageVersion: '10.0', condition: 'OUTDATED', stateReason },
    { ...found, imageVersion: '9.0', condition: 'DAMAGED', stateReason },
  ];
  Object.assign(images, { unusableVersions: async () => unusable });
  const { imageArn: arn, status } = found;
  assert.deepEqual((await raw(server, 'GET', path)).json, {
    versions: [
      { imageArn: arn, imageVersion: '9.0', status, condition: 'DAMAGED', stateReason },
      { imageArn: arn, imageVersion: '10.0', status, condition: 'OUTDATED', stateReason },
    ],
  });
});

test('rotates the token key, where there is one', async (t) => {
  const asked: boolean[] = [];
  const rotating = await startServer('relaxed', {
    services: { rotateTokenKey: async ({ revoke }) => void asked.push(revoke) },
  });
  t.after(() => rotating.close());
  const path = '/dormouse/v1/token-key/rotate';
  assert.equal((await raw(rotating, 'POST', path, { revoke: true })).status, 204);
  assert.equal((await raw(rotating, 'POST', path, {})).status, 400);
  assert.deepEqual(asked, [true]);
  assert.equal((await raw(server, 'POST', path, { revoke: false })).status, 501);
});

test('reads logs', async () => {
  const { logs } = server.services;
  const events = ['one', 'two', 'three'].map((message, index) => ({ timestamp: 1000 + index, message }));
  await logs.append('/g', 'read', events);
  const query = 'group=%2Fg&stream=read';
  const read = async (more: string) => {
    const { text } = await raw(server, 'GET', `/dormouse/v1/logs?${query}${more}`);
    return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line).message]));
  };
  assert.deepEqual(await read(''), ['one', 'two', 'three']);
  assert.deepEqual(await read('&after=1&limit=1'), ['two']);
  assert.deepEqual((await raw(server, 'GET', '/dormouse/v1/log-streams?group=%2Fg')).json, {
    streams: ['read'],
  });
  assert.equal((await raw(server, 'GET', '/dormouse/v1/logs?group=g')).status, 400);
});

test('follows a log until the reader leaves', async () => {
  const { logs } = server.services;
  await logs.append('/g', 'follow', [{ timestamp: 1, message: 'before' }]);
  const url = new URL(`${server.url}/dormouse/v1/logs?group=%2Fg&stream=follow&follow=1`);
  const headers = signRequest(
    { method: 'GET', url },
    { credentials, region: realm.region, service: 'lambda' },
  );
  const leave = new AbortController();
  const response = await fetch(url, { headers, signal: leave.signal });
  assert(response.body !== null);
  const messages: string[] = [];
  let text = '';
  try {
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split('\n');
      text = lines.pop() ?? '';
      for (const line of lines) messages.push(JSON.parse(line).message);
      if (messages.length === 1) await logs.append('/g', 'follow', [{ timestamp: 2, message: 'after' }]);
      if (messages.length === 2) leave.abort();
    }
  } catch (error) {
    assert.equal((error as Error).name, 'AbortError');
  }
  assert.deepEqual(messages, ['before', 'after']);
});

test('stores what a microVM is, lists it, returns to it and forgets it', async () => {
  const run = await raw(server, 'POST', '/2025-09-09/microvms', { imageIdentifier: 'demo' });
  const { microvmId } = run.json as { microvmId: string };
  const collection = `/dormouse/v1/microvms/${microvmId}/checkpoints`;
  const created = await raw(server, 'POST', collection, { name: 'first' });
  assert.equal(created.status, 201);
  const { createdAt, ...checkpoint } = created.json as Record<string, unknown>;
  assert.deepEqual(checkpoint, { checkpointId: 'checkpoint-1', name: 'first', sizeInBytes: 4096 });
  assert.ok(Math.abs(Number(createdAt) - Date.now() / 1000) < 60);
  assert.equal((await raw(server, 'POST', collection, { name: 'first' })).status, 409);
  assert.equal((await raw(server, 'POST', collection, { name: 'no/slash' })).status, 400);
  assert.deepEqual((await raw(server, 'GET', collection)).json, { checkpoints: [created.json] });
  const back = await raw(server, 'POST', `${collection}/first/rollback`);
  assert.equal((back.json as { state: string }).state, 'RUNNING');
  assert.equal((await raw(server, 'POST', `${collection}/second/rollback`)).status, 404);
  assert.equal((await raw(server, 'DELETE', `${collection}/checkpoint-1`)).status, 204);
  assert.equal((await raw(server, 'DELETE', `${collection}/checkpoint-1`)).status, 404);
  assert.deepEqual((await raw(server, 'GET', collection)).json, { checkpoints: [] });
});

test('says what keeps a microVM awake besides bytes', async () => {
  const run = await raw(server, 'POST', '/2025-09-09/microvms', { imageIdentifier: 'demo' });
  const { microvmId } = run.json as { microvmId: string };
  const path = `/dormouse/v1/microvms/${microvmId}/activity`;
  const nothing = { requests: false, execSessions: false, guestCpuPercent: null };
  assert.deepEqual((await raw(server, 'GET', path)).json, nothing);
  const settings = { requests: false, execSessions: true, guestCpuPercent: 20 };
  assert.deepEqual((await raw(server, 'PUT', path, settings)).json, settings);
  assert.deepEqual((await raw(server, 'GET', path)).json, settings);
  for (const wrong of [{ guestCpuPercent: 0 }, { guestCpuPercent: 101 }, { execSessions: 'yes' }]) {
    assert.equal((await raw(server, 'PUT', path, wrong)).status, 400, JSON.stringify(wrong));
  }
  assert.deepEqual((await raw(server, 'GET', path)).json, settings, 'bad input changes nothing');
  assert.deepEqual((await raw(server, 'PUT', path, {})).json, nothing);
  assert.equal((await raw(server, 'PUT', '/dormouse/v1/microvms/other/activity', {})).status, 404);
});

test('makes a microVM a version of its image, or of another', async () => {
  const run = await raw(server, 'POST', '/2025-09-09/microvms', { imageIdentifier: 'demo' });
  const { microvmId, imageArn } = run.json as { microvmId: string; imageArn: string };
  const path = `/dormouse/v1/microvms/${microvmId}/image-version`;
  const own = await raw(server, 'POST', path);
  assert.equal(own.status, 201);
  const { imageVersion, state, status } = own.json as Record<string, unknown>;
  assert.deepEqual([imageVersion, state, status], ['2.0', 'SUCCESSFUL', 'ACTIVE']);
  const other = await raw(server, 'POST', path, { imageName: 'prepared' });
  assert.equal((other.json as { imageArn: string }).imageArn, imageArn.replace(/:[^:]*$/, ':prepared'));
  assert.equal((await raw(server, 'POST', path, { imageName: 'no/slash' })).status, 400);
});
