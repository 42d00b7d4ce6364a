import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { openPromise } from 'yauzl';
import { contextFiles, packContext } from './build-context.ts';
import { CliError } from './errors.ts';

let directory: string;

before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-context-'));
  await mkdir(path.join(directory, 'src/empty'), { recursive: true });
  await mkdir(path.join(directory, 'node_modules/x'), { recursive: true });
  await writeFile(path.join(directory, 'Dockerfile'), 'FROM scratch\n');
  await writeFile(
    path.join(directory, '.dockerignore'),
    'Dockerfile\nnode_modules\n!node_modules/x/keep\n*.log\n',
  );
  await writeFile(path.join(directory, 'src/start.sh'), '#!/bin/sh\n');
  await chmod(path.join(directory, 'src/start.sh'), 0o755);
  await writeFile(path.join(directory, 'debug.log'), '');
  await writeFile(path.join(directory, 'node_modules/x/keep'), '');
  await writeFile(path.join(directory, 'node_modules/x/drop'), '');
  await symlink('src/start.sh', path.join(directory, 'link'));
});

after(async () => {
  await rm(directory, { recursive: true });
});

test('the context is what .dockerignore leaves', async () => {
  assert.deepEqual(await contextFiles(directory), [
    '.dockerignore',
    'link',
    'node_modules/x/keep',
    'src/empty/',
    'src/start.sh',
  ]);
});

test('the rules of a Dockerfile of its own replace those of the directory, for the builder too', async (t) => {
  const dockerfile = path.join(directory, 'other.Dockerfile');
  await writeFile(dockerfile, 'FROM scratch\n');
  await writeFile(`${dockerfile}.dockerignore`, '*\n!debug.log\n');
  t.after(async () => {
    await rm(dockerfile);
    await rm(`${dockerfile}.dockerignore`);
  });
  assert.deepEqual(await contextFiles(directory, dockerfile), ['debug.log']);
  await writeFile(`${dockerfile}.dockerignore`, 'src\nnode_modules\n');
  const names = await contextFiles(directory, dockerfile);
  assert.ok(names.includes('debug.log') && !names.includes('.dockerignore'), names.join());
});

test('modes and links are kept in the zip, which goes when it is disposed of', async () => {
  const packed = await packContext(directory);
  assert.equal((await stat(packed.file)).mode & 0o777, 0o600);
  const archive = await openPromise(packed.file);
  const modes = new Map<string, number>();
  const contents = new Map<string, string>();
  for await (const entry of archive.eachEntry()) {
    modes.set(entry.fileName, entry.externalFileAttributes >>> 16);
    contents.set(entry.fileName, await text(await archive.openReadStreamPromise(entry)));
  }
  assert.equal(modes.get('src/start.sh'), 0o100755);
  assert.equal((modes.get('link') ?? 0) & 0o170000, 0o120000);
  assert.equal(contents.get('link'), 'src/start.sh');
  assert.ok(modes.has('src/empty/'));
  // It is ignored, so the builder gets it, and the context has none.
  assert.equal(contents.get('.dormouse/Dockerfile'), 'FROM scratch\n');
  assert.deepEqual(JSON.parse(contents.get('.dormouse/build.json') ?? ''), {
    dockerfile: '.dormouse/Dockerfile',
  });
  assert.ok(!modes.has('Dockerfile'));
  await packed.dispose();
  await assert.rejects(readFile(packed.file));
});

test('a directory without a Dockerfile is refused', async () => {
  await assert.rejects(packContext(path.join(directory, 'src')), CliError);
  await assert.rejects(packContext(path.join(directory, 'absent')), CliError);
});

test('a Dockerfile that is a link is what it leads to', async (t) => {
  const linked = await mkdtemp(path.join(os.tmpdir(), 'dormouse-linked-'));
  t.after(() => rm(linked, { recursive: true }));
  await symlink(path.join(directory, 'Dockerfile'), path.join(linked, 'Dockerfile'));
  const packed = await packContext(linked);
  t.after(() => packed.dispose());
  const archive = await openPromise(packed.file);
  const contents = new Map<string, string>();
  for await (const entry of archive.eachEntry()) {
    contents.set(entry.fileName, await text(await archive.openReadStreamPromise(entry)));
  }
  assert.equal(contents.get('.dormouse/Dockerfile'), 'FROM scratch\n');
});
