import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { isThere } from '../blobs/entries.ts';
import { takeBuildOptions } from './build-options.ts';

async function artifact(t: TestContext, content?: string) {
  const context = await mkdtemp(path.join(tmpdir(), 'dormouse-options-'));
  t.after(() => rm(context, { recursive: true, force: true }));
  const file = path.join(context, '.dormouse', 'build.json');
  await mkdir(path.dirname(file));
  await writeFile(path.join(context, 'Dockerfile'), 'FROM scratch');
  if (content !== undefined) await writeFile(file, content);
  const scratch = await mkdtemp(path.join(tmpdir(), 'dormouse-scratch-'));
  t.after(() => rm(scratch, { recursive: true, force: true }));
  return { context, file, take: () => takeBuildOptions(context, scratch), scratch };
}

test('options are taken out of the artifact, and none are needed', async (t) => {
  const { context, file, take } = await artifact(
    t,
    '{"target":"app","buildArguments":{"VERSION":"2"},"noCache":true}',
  );
  const dockerfile = path.join(context, 'Dockerfile');
  assert.deepEqual(await take(), {
    target: 'app',
    buildArguments: { VERSION: '2' },
    noCache: true,
    dockerfile,
  });
  assert.ok(!(await isThere(path.dirname(file))));
  assert.deepEqual(await take(), { dockerfile });
});

test('a Dockerfile that came with the options is none of the context', async (t) => {
  const { context, take, scratch } = await artifact(t, '{"dockerfile":".dormouse/Dockerfile"}');
  await writeFile(path.join(context, '.dormouse', 'Dockerfile'), 'FROM other');
  assert.deepEqual(await take(), { dockerfile: path.join(scratch, 'Dockerfile') });
  assert.deepEqual(await readdir(context), ['Dockerfile']);
});

test('what is no options, or no Dockerfile of the artifact, is refused, and no link is followed out of it', async (t) => {
  for (const content of [
    '{',
    '[]',
    '{"targett":"a"}',
    '{"buildArguments":{"a b":"c"}}',
    '"x"'.repeat(65_536),
  ]) {
    const { take } = await artifact(t, content);
    await assert.rejects(take(), { code: 'ARCHIVE_INVALID' }, content.slice(0, 40));
  }
  const linked = await artifact(t);
  await symlink('/etc/passwd', linked.file);
  await assert.rejects(linked.take(), { code: 'ARCHIVE_INVALID' });
  const elsewhere = await artifact(t, '{"noCache":true}');
  const beside = await artifact(t);
  await rm(path.dirname(beside.file), { recursive: true });
  await symlink(path.dirname(elsewhere.file), path.dirname(beside.file));
  assert.deepEqual(await beside.take(), { dockerfile: path.join(beside.context, 'Dockerfile') });
  for (const name of ['nowhere', '../../etc/passwd', 'out/passwd', 'outward', '.']) {
    const { context, take } = await artifact(t, JSON.stringify({ dockerfile: name }));
    await symlink('/etc', path.join(context, 'out'));
    await symlink('/etc/passwd', path.join(context, 'outward'));
    await assert.rejects(take(), { code: 'ARCHIVE_DOCKERFILE_NOT_FOUND' }, name);
  }
});

test('a Dockerfile that is a link within the artifact is what it leads to', async (t) => {
  const { context, take } = await artifact(t, '{"dockerfile":"docker/current"}');
  await mkdir(path.join(context, 'docker'));
  await writeFile(path.join(context, 'docker', 'v1'), 'FROM scratch');
  await symlink('v1', path.join(context, 'docker', 'current'));
  assert.deepEqual(await take(), { dockerfile: path.join(context, 'docker', 'v1') });
});

test('a Dockerfile is no larger than any is', async (t) => {
  const { context, take } = await artifact(t);
  await writeFile(path.join(context, 'Dockerfile'), '#'.repeat(1024 ** 2 + 1));
  await assert.rejects(take(), { code: 'ARCHIVE_INVALID' });
});

test('secrets are taken out of the artifact, and no link is followed to them', async (t) => {
  const given = JSON.stringify({ secrets: ['token'] });
  const { context, take, scratch } = await artifact(t, given);
  const secrets = path.join(context, '.dormouse', 'secrets');
  await mkdir(secrets);
  await writeFile(path.join(secrets, 'token'), 'hush');
  const { secrets: files } = await take();
  assert.deepEqual(files, { token: path.join(scratch, 'secrets', 'token') });
  assert.equal(await readFile(files?.token ?? '', 'utf8'), 'hush');
  assert.deepEqual(await readdir(context), ['Dockerfile']);
  const outside = await mkdtemp(path.join(tmpdir(), 'dormouse-outside-'));
  t.after(() => rm(outside, { recursive: true }));
  await writeFile(path.join(outside, 'token'), 'of the host');
  for (const linked of ['secrets', 'secrets/token']) {
    const hostile = await artifact(t, given);
    const place = path.join(hostile.context, '.dormouse', linked);
    await mkdir(path.dirname(place), { recursive: true });
    await symlink(path.join(outside, path.relative('secrets', linked)), place);
    await assert.rejects(hostile.take(), { code: 'ARCHIVE_INVALID' }, linked);
  }
  for (const id of ['dormouse-certificates', '../x', '']) {
    const { take: refused } = await artifact(t, JSON.stringify({ secrets: [id] }));
    await assert.rejects(refused(), { code: 'ARCHIVE_INVALID' }, id);
  }
});
