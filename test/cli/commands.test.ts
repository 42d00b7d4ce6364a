import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ServiceError } from '../../src/service-error.ts';
import { defaultLogGroup, microvmLogStream } from '../../src/telemetry/log-store.ts';
import { type CliFixture, startCliFixture } from './fixture.ts';

let fixture: CliFixture;
let context: string;

before(async () => {
  fixture = await startCliFixture((request, response) => {
    response.statusCode = request.url === '/teapot' ? 418 : 200;
    response.setHeader(
      'x-seen',
      `${request.method} ${request.url} ${request.headers['x-mine'] ?? ''}`.trim(),
    );
    request.pipe(response);
  });
  context = await mkdtemp(path.join(os.tmpdir(), 'dormouse-context-'));
  await writeFile(path.join(context, 'Dockerfile'), 'FROM dormouse/debian:12\nCMD ["true"]\n');
});

after(async () => {
  await fixture.close();
  await rm(context, { recursive: true });
});

async function json(...words: readonly string[]): Promise<unknown> {
  const { code, stdout, stderr } = await fixture.dormouse(...words, '--json');
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}

test('build makes the image, then its next version, with the settings given', async () => {
  const words = ['--memory', '512M', '-e', 'A=1', '-e', 'B=x=y', '--hook', 'run=5', '--hook-port', '9100'];
  const first = (await json('build', context, '--name', 'settings', ...words)) as { state: string };
  assert.equal(first.state, 'SUCCESSFUL');
  const second = (await json('build', context, '--name', 'settings', ...words)) as {
    imageArn: string;
    imageVersion: string;
  };
  assert.equal(second.imageVersion, '2.0');
  const { configuration } = await fixture.server.services.images.getVersion(second.imageArn, '2.0');
  assert.equal(configuration.minimumMemoryInMiB, 512);
  assert.deepEqual(configuration.environmentVariables, { A: '1', B: 'x=y' });
  assert.equal(configuration.hooks?.port, 9100);
  assert.equal(configuration.hooks?.microvmImageHooks?.ready, 'ENABLED');
  assert.equal(configuration.hooks?.microvmHooks?.run, 'ENABLED');
  assert.equal(configuration.hooks?.microvmHooks?.runTimeoutInSeconds, 5);
  assert.match(configuration.codeArtifact.uri, /^s3:\/\/dormouse-artifacts-123456789012\//);
});

test('build takes secrets along, and removes what holds them once the build has ended', async () => {
  const file = path.join(context, '..', `${path.basename(context)}.secret`);
  await writeFile(file, 'hush');
  try {
    const { imageArn } = (await json(
      'build',
      context,
      '--name',
      'hushed',
      '--secret',
      `id=a,src=${file}`,
    )) as {
      imageArn: string;
    };
    const { configuration } = await fixture.server.services.images.getVersion(imageArn, '1.0');
    const key = /^s3:\/\/[^/]+\/(hushed\/context-[0-9a-f-]{36}\.zip)$/.exec(
      configuration.codeArtifact.uri,
    )?.[1];
    assert.ok(key);
    const bucket = 'dormouse-artifacts-123456789012';
    await assert.rejects(fixture.server.services.objects.head(bucket, key));
    assert.ok(await fixture.server.services.objects.head(bucket, 'settings/context.zip'));
    const absent = await fixture.dormouse(
      'build',
      context,
      '--name',
      'hushed',
      '--secret',
      'id=a,env=NO_SUCH',
    );
    assert.deepEqual([absent.code, /no variable NO_SUCH/.test(absent.stderr)], [1, true]);
  } finally {
    await rm(file);
  }
});

test('build shows the log, and ends with 1 and the reason when the build fails', async (t) => {
  const { images, logs } = fixture.server.services;
  const getVersion = images.getVersion;
  t.after(() => Object.assign(images, { getVersion }));
  Object.assign(images, {
    getVersion: async (arn: string, version: string) => ({
      ...(await getVersion(arn, version)),
      state: 'FAILED',
      stateReason: 'The container image build failed.',
    }),
  });
  await logs.append(defaultLogGroup('broken'), '2026/01/01[1.0]build-docker-1', [
    { timestamp: 1, message: 'RUN false\u001b[2J' },
  ]);
  const { code, stderr } = await fixture.dormouse('build', context, '--name', 'broken');
  assert.equal(code, 1);
  assert.match(stderr, /^RUN false$/m);
  assert.match(stderr, /error: The build of broken 1\.0 failed: The container image build failed\./);
});

test('run hands its settings to the service', async () => {
  await json('build', context, '--name', 'policy');
  const words = ['--idle', '30s', '--suspended', '2h', '--no-auto-resume', '--max-duration', '1h'];
  const launched = (await json('run', 'policy', ...words)) as { microvmId: string };
  const vm = await fixture.server.services.microvms.get(launched.microvmId);
  assert.deepEqual(vm.idlePolicy, {
    maxIdleDurationSeconds: 30,
    suspendedDurationSeconds: 7200,
    autoResumeEnabled: false,
  });
  assert.equal(vm.maximumDurationInSeconds, 3600);
});

test('ps lists live VMs, -a all', async () => {
  const [live, dead] = [await fixture.launch('listed'), await fixture.launch('listed-too')];
  await json('rm', dead);
  const listed = (await json('ps')) as readonly { microvmId: string }[];
  assert.ok(listed.some(({ microvmId }) => microvmId === live));
  assert.ok(!listed.some(({ microvmId }) => microvmId === dead));
  const { stdout } = await fixture.dormouse('ps', '-a', '--image', 'listed-too');
  assert.match(
    stdout,
    new RegExp(`^MICROVM +IMAGE +VERSION +STATE +AGE\n${dead}  listed-too  1.0 +TERMINATED`),
  );
});

test('run --trace waits and shows where the time went', async () => {
  await fixture.dormouse('build', context, '--name', 'traced');
  assert.match(
    (await fixture.dormouse('run', 'traced', '--trace')).stdout,
    /RUNNING.*\n.*\n +checks +1\.0 +2\.0 /,
  );
  const { trace } = (await json('run', 'traced', '--trace')) as { trace: { durationMs: number } };
  assert.equal(trace.durationMs, 8);
});

test('a part of the id is enough for every command', async () => {
  const id = await fixture.launch('partly');
  const part = id.slice('microvm-'.length, 20);
  assert.match((await fixture.dormouse('suspend', part)).stdout, new RegExp(`${id}  SUSPENDED`));
  assert.match((await fixture.dormouse('resume', part)).stdout, new RegExp(`${id}  RUNNING`));
  const details = (await json('inspect', part)) as { microvmId: string; vmmPid: number };
  assert.deepEqual([details.microvmId, details.vmmPid], [id, 4711]);
  assert.match((await fixture.dormouse('inspect', part)).stdout, /diskBytes +4\.0 KiB/);
  assert.match((await fixture.dormouse('inspect', part, '--trace')).stdout, /launch .* 8\.0 ms\n +checks /);
  assert.match((await fixture.dormouse('rm', part)).stdout, new RegExp(`${id}  TERMINATED`));
});

test('curl sends what it is told and prints what comes back', async () => {
  const id = await fixture.launch('curled');
  assert.equal((await fixture.dormouse('curl', id, '/', '-d', 'hello')).stdout, 'hello');
  const { stdout } = await fixture.dormouse('curl', id, 'a?b=c', '-X', 'PUT', '-H', 'X-Mine: yes', '-i');
  assert.match(stdout, /^HTTP\/1\.1 200 OK\r\n/);
  assert.match(stdout, /x-seen: PUT \/a\?b=c yes\r\n/);
  const file = path.join(context, 'Dockerfile');
  assert.match((await fixture.dormouse('curl', id, '-d', `@${file}`)).stdout, /^FROM dormouse/);
  assert.equal((await fixture.dormouse('curl', id, '/teapot')).code, 0);
  const failed = await fixture.dormouse('curl', id, '/teapot', '--fail');
  assert.deepEqual([failed.code, /answered 418/.test(failed.stderr)], [1, true]);
  const answer = (await json('curl', id, '/teapot', '-d', 'x')) as { status: number; body: string };
  assert.deepEqual([answer.status, answer.body], [418, 'x']);
});

test('logs of a VM and of the newest build of an image', async () => {
  const id = await fixture.launch('logged');
  const { logs, microvms } = fixture.server.services;
  const { startedAt } = await microvms.get(id);
  const group = defaultLogGroup('logged');
  await logs.append(group, microvmLogStream(startedAt, '1.0', id), [
    { timestamp: 1, message: 'from the VM' },
  ]);
  await logs.append(group, '2026/01/01[1.0]build-snapshot-9', [{ timestamp: 2, message: 'started' }]);
  await logs.append(group, '2026/01/01[1.0]build-docker-9', [{ timestamp: 1, message: 'STEP 1' }]);
  assert.equal((await fixture.dormouse('logs', id.slice(0, 20))).stdout, 'from the VM\n');
  assert.equal((await fixture.dormouse('logs', 'logged')).stdout, 'STEP 1\nstarted\n');
  const stamped = await fixture.dormouse('logs', id, '-t');
  assert.equal(stamped.stdout, '1970-01-01T00:00:00.001Z from the VM\n');
});

test('images are listed and deleted', async () => {
  await json('build', context, '--name', 'doomed');
  assert.match((await fixture.dormouse('images')).stdout, /^doomed /m);
  assert.match((await fixture.dormouse('rm', '--image', 'doomed')).stdout, /doomed {2}DELETING/);
  assert.doesNotMatch((await fixture.dormouse('images')).stdout, /^doomed /m);
});

test('images tells what is wrong with a version, and what to do', async (t) => {
  const { images } = fixture.server.services;
  const { unusableVersions } = images;
  t.after(() => Object.assign(images, { unusableVersions }));
  await json('build', context, '--name', 'worn');
  await json('build', context, '--name', 'worn');
  assert.match(
    (await fixture.dormouse('images', 'worn')).stdout,
    /^2\.0 +SUCCESSFUL +ACTIVE +\d+s\n1\.0 .*\n$/m,
  );
  const { imageArn } = await images.get('arn:aws:lambda:us-east-1:123456789012:microvm-image:worn');
  const damaged = {
    ...(await images.getVersion(imageArn, '1.0')),
    condition: 'DAMAGED',
    stateReason: 'Its memory is damaged.\u001b[2J Update the image.',
  };
  Object.assign(images, { unusableVersions: async () => [damaged] });
  const why =
    '\n\nworn 1.0 is DAMAGED: Its memory is damaged. Update the image.\n' +
    '  → build it again: dormouse build <directory> --name worn\n';
  const all = (await fixture.dormouse('images')).stdout;
  assert.match(all, /^worn .* 1\.0 DAMAGED$/m);
  assert.ok(all.endsWith(why), all);
  const versions = (await fixture.dormouse('images', 'worn')).stdout;
  assert.match(versions, /^1\.0 .* DAMAGED$/m);
  assert.ok(versions.endsWith(why), versions);
  const listed = (await json('images', 'worn')) as readonly { condition: string | null }[];
  assert.deepEqual(
    listed.map(({ condition }) => condition),
    [null, 'DAMAGED'],
  );
  const refuse = () => Promise.reject(new ServiceError('AccessDeniedException', 'No.'));
  Object.assign(images, { unusableVersions: refuse });
  const without = await fixture.dormouse('images');
  assert.match(without.stdout, /^worn /m);
  assert.match(without.stderr, /^Whether versions are damaged or outdated is not shown: No\.$/m);
});

test('env prints exports that a shell takes', async () => {
  const { stdout } = await fixture.dormouse('env');
  assert.match(stdout, new RegExp(`^export AWS_ENDPOINT_URL_LAMBDA_MICROVMS='${fixture.server.url}'$`, 'm'));
  assert.match(stdout, /^export NODE_EXTRA_CA_CERTS='.+'$/m);
});
