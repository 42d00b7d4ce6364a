import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { type CliFixture, startCliFixture } from './fixture.ts';

let fixture: CliFixture;

before(async () => {
  fixture = await startCliFixture((_request, response) => response.end());
});

after(() => fixture.close());

async function output(...words: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await fixture.dormouse(...words);
  assert.equal(code, 0, stderr);
  return stdout;
}

async function failure(...words: readonly string[]): Promise<string> {
  const { code, stderr } = await fixture.dormouse(...words);
  assert.notEqual(code, 0);
  return stderr;
}

test('policies are set by flags or by a file, shown, listed and deleted', async () => {
  const flags = ['--allow', '*.example.com:443', '--allow', '10.1.0.0/16', '--deny', '10.1.9.0/24'];
  assert.equal(
    await output('egress', 'set', 'subnet-web', ...flags),
    'subnet-web\n  deny   10.1.9.0/24\n  allow  *.example.com:443\n  allow  10.1.0.0/16\n  deny   all else\n',
  );
  // What is shown as JSON is taken back.
  const file = path.join(fixture.dataDirectory, 'policy.json');
  await writeFile(file, await output('egress', 'show', 'subnet-web', '--json'));
  const copy = await output('egress', 'set', 'sg-copy', '--file', file);
  assert.match(copy, /^sg-copy\n {2}deny {3}10\.1\.9\.0\/24\n/);
  const list = await output('egress', 'list');
  assert.match(
    list,
    /^ID +ALLOW +DENY +DEFAULT\nsg-copy .*\nsubnet-web +\*\.example\.com:443 10\.1\.0\.0\/16/,
  );
  assert.equal(await output('egress', 'delete', 'sg-copy'), 'sg-copy is deleted\n');
});

test('what is wrong with a policy is said precisely', async () => {
  assert.match(await failure('egress', 'set', 'office'), /policyName/);
  assert.match(
    await failure('egress', 'set', 'sg-1', '--allow', '10.0.0.0/99'),
    /"10\.0\.0\.0\/99": not a network/,
  );
  assert.match(await failure('egress', 'set', 'sg-1', '--file', '/nonexistent'), /cannot be read/);
  const file = path.join(fixture.dataDirectory, 'odd.json');
  await writeFile(file, '{"alow":[]}');
  assert.match(await failure('egress', 'set', 'sg-1', '--file', file), /not known: alow/);
  assert.match(await failure('egress', 'set', 'sg-1', '--file', file, '--deny', 'a'), /give it alone/);
  assert.match(await failure('egress', 'show', 'sg-1'), /Egress policy not found: sg-1/);
});

test('connectors are made from policies, listed and deleted', async () => {
  assert.match(
    await failure('connectors', 'create', 'office', '--policy', 'subnet-none'),
    /no egress policy with the name subnet-none.*dormouse egress set subnet-none/s,
  );
  assert.match(
    await failure('connectors', 'create', 'office', '--policy', 'sg-1'),
    /needs a subnet-… policy/,
  );
  await output('egress', 'set', 'subnet-office');
  const made = await output('connectors', 'create', 'office', '--policy', 'subnet-office');
  assert.match(made, /^office {2}ACTIVE {2}arn:aws:lambda:us-east-1:123456789012:network-connector:nc-/);
  assert.match(await output('connectors', 'list'), /^NAME +STATE +ARN\noffice +ACTIVE +arn:/);
  assert.match(await failure('egress', 'delete', 'subnet-office'), /connector 'office' uses it/);

  await writeFile(path.join(fixture.dataDirectory, 'Dockerfile'), 'FROM dormouse/debian:12\n');
  await output('build', fixture.dataDirectory, '--name', 'app', '--egress', 'office');
  const imageArn = 'arn:aws:lambda:us-east-1:123456789012:microvm-image:app';
  const { configuration } = await fixture.server.services.images.getVersion(imageArn, '1.0');
  assert.deepEqual(configuration.egressNetworkConnectors, [made.trim().split(/\s+/)[2]]);
  assert.match(
    await failure('run', 'app', '--egress', 'nowhere'),
    /Network connector not found for: arn:aws:lambda:[^ ]*:network-connector:nowhere/,
  );
  const ran = await output('run', 'app', '--egress', 'office', '--egress', 'INTERNET_EGRESS', '--json');
  const { egressNetworkConnectors, microvmId } = JSON.parse(ran) as {
    egressNetworkConnectors: string[];
    microvmId: string;
  };
  assert.equal(await output('egress', 'refused', microvmId, '--json'), '[]\n');
  assert.equal(egressNetworkConnectors[0], made.trim().split(/\s+/)[2]);
  assert.match(egressNetworkConnectors[1] ?? '', /:aws-network-connector:INTERNET_EGRESS$/);
  assert.equal(await output('connectors', 'delete', 'office'), 'office is deleted\n');
});

test('roles get policies', async () => {
  const file = path.join(fixture.dataDirectory, 'role.json');
  const statement = { Effect: 'Allow', Action: 'lambda:ListMicrovms', Resource: '*' };
  await writeFile(file, JSON.stringify({ Version: '2012-10-17', Statement: [statement] }));
  assert.equal(await output('roles', 'set', 'app', '--policy', file), 'arn:aws:iam::123456789012:role/app\n');
  assert.match(
    await output('roles', 'list'),
    /^NAME +ARN +CHANGED\napp +arn:aws:iam::123456789012:role\/app/,
  );
  assert.equal(await output('roles', 'delete', 'app'), 'app may do nothing now\n');
  assert.match(await failure('roles', 'delete', 'app'), /No policy of a role found: app/);
});
