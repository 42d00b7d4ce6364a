import assert from 'node:assert/strict';
import { createWriteStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, it } from 'node:test';
import { ZipFile } from 'yazl';
import { type ArchiveLimits, unpackArchive } from './archive.ts';
import { BuildFailure } from './build-failure.ts';

const limits: ArchiveLimits = { artifactBytes: 100_000, artifactEntries: 20 };
const regular = 0o100644;
const link = 0o120777;

interface Item {
  readonly name: string;
  readonly content?: string;
  readonly mode?: number;
}

const dockerfile: Item = { name: 'Dockerfile', content: 'FROM scratch\n' };
/** Stands for one character that yazl would refuse; replaced in the finished bytes. */
const placeholder = '~';

let directory: string;

before(async () => {
  directory = await mkdtemp(path.join(os.tmpdir(), 'archive-'));
});
after(() => rm(directory, { recursive: true, force: true }));

async function zip(items: readonly Item[], replacement?: string): Promise<string> {
  const archive = new ZipFile();
  for (const { name, content = '', mode = regular } of items) {
    archive.addBuffer(Buffer.from(content), name, { mode, mtime: new Date('2024-01-02T03:04:06Z') });
  }
  archive.end();
  const file = path.join(directory, `${crypto.randomUUID()}.zip`);
  await pipeline(archive.outputStream, createWriteStream(file));
  if (replacement === undefined) return file;
  const bytes = (await readFile(file)).toString('latin1').replaceAll(placeholder, replacement);
  await writeFile(file, Buffer.from(bytes, 'latin1'));
  return file;
}

async function unpack(file: string, within = limits): Promise<string> {
  const target = path.join(directory, crypto.randomUUID());
  await mkdir(target);
  await unpackArchive(file, target, within, new AbortController().signal);
  return target;
}

async function failure(file: string, within = limits): Promise<BuildFailure> {
  const target = path.join(directory, crypto.randomUUID());
  await mkdir(target);
  try {
    await unpackArchive(file, target, within, new AbortController().signal);
  } catch (error) {
    assert.ok(error instanceof BuildFailure, `not a build failure: ${error}`);
    return error;
  }
  assert.fail('the archive was accepted');
}

describe('a good archive', () => {
  it('is unpacked with its contents, executable bits, links and times', async () => {
    const target = await unpack(
      await zip([
        dockerfile,
        { name: 'bin/run', content: '#!/bin/sh\n', mode: 0o100755 },
        { name: 'etc/deep/up', content: '../../bin/./run', mode: link },
        { name: 'here', content: 'bin', mode: link },
        { name: 'dangling', content: 'nowhere/at-all', mode: link },
        { name: 'venv/bin/python', content: '/usr/bin/python3', mode: link },
        { name: 'beyond', content: '../../x', mode: link },
      ]),
    );
    assert.equal(await readFile(path.join(target, 'Dockerfile'), 'utf8'), dockerfile.content);
    const program = await lstat(path.join(target, 'bin/run'));
    assert.equal(program.mode & 0o777, 0o755);
    assert.equal(program.mtime.toISOString(), '2024-01-02T03:04:06.000Z');
    assert.equal(await readlink(path.join(target, 'etc/deep/up')), '../../bin/./run');
    assert.equal(await readlink(path.join(target, 'venv/bin/python')), '/usr/bin/python3');
    assert.equal(await readlink(path.join(target, 'beyond')), '../../x');
    assert.equal(await readFile(path.join(target, 'here/run'), 'utf8'), '#!/bin/sh\n');
  });

  it('loses set-user-id bits and stays readable for the builder', async () => {
    const target = await unpack(
      await zip([dockerfile, { name: 'su', mode: 0o104755 }, { name: 'locked', mode: 0o100000 }]),
    );
    assert.equal((await lstat(path.join(target, 'su'))).mode & 0o7777, 0o755);
    assert.equal((await lstat(path.join(target, 'locked'))).mode & 0o777, 0o400);
  });
});

describe('a bad archive is refused before anything is written', () => {
  const cases: readonly {
    readonly what: string;
    readonly items: readonly Item[];
    readonly replacement?: string;
    readonly says: RegExp;
  }[] = [
    {
      what: 'a path with ..',
      items: [dockerfile, { name: 'a/~~/~~/x' }],
      replacement: '.',
      says: /relative path|leads out/,
    },
    {
      what: 'an absolute path',
      items: [dockerfile, { name: '~etc/x' }],
      replacement: '/',
      says: /absolute path/,
    },
    {
      what: 'a file below a link',
      items: [dockerfile, { name: 'd', content: 'e', mode: link }, { name: 'd/x' }],
      says: /not a directory/,
    },
    {
      what: 'a file below a file',
      items: [dockerfile, { name: 'd' }, { name: 'd/x' }],
      says: /not a directory/,
    },
    { what: 'a path twice', items: [dockerfile, { name: 'x' }, { name: 'x' }], says: /twice/ },
    { what: 'a device', items: [dockerfile, { name: 'dev', mode: 0o020666 }], says: /neither a file/ },
    { what: 'a named pipe', items: [dockerfile, { name: 'pipe', mode: 0o010666 }], says: /neither a file/ },
    {
      what: 'an empty link',
      items: [dockerfile, { name: 'l', content: '', mode: link }],
      says: /invalid target/,
    },
    { what: 'too many entries', items: [dockerfile, ...many(20)], says: /more than 20 entries/ },
    {
      what: 'too large',
      items: [dockerfile, { name: 'x', content: 'x'.repeat(100_001) }],
      says: /larger than/,
    },
    { what: 'a long name', items: [dockerfile, { name: 'n'.repeat(256) }], says: /too long/ },
  ];
  for (const { what, items, replacement, says } of cases) {
    it(what, async () => {
      const found = await failure(await zip(items, replacement));
      assert.equal(found.code, 'ARCHIVE_INVALID');
      assert.match(found.message, says);
      assert.match(found.message, /^ARCHIVE_INVALID: /);
    });
  }

  it('something that is no zip', async () => {
    const file = path.join(directory, 'not.zip');
    await writeFile(file, 'FROM scratch\n');
    assert.equal((await failure(file)).code, 'ARCHIVE_INVALID');
  });

  it('a member that holds more than it declares', async () => {
    const file = await zip([dockerfile, { name: 'bomb', content: 'x'.repeat(50_000) }]);
    const bytes = await readFile(file);
    const central = bytes.lastIndexOf(Buffer.from([0x50, 0x4b, 0x01, 0x02]));
    bytes.writeUInt32LE(10, central + 24);
    await writeFile(file, bytes);
    assert.equal((await failure(file)).code, 'ARCHIVE_INVALID');
  });

  it('writes nothing', async () => {
    const target = path.join(directory, 'untouched');
    await mkdir(target);
    const file = await zip([dockerfile, { name: 'l', content: '', mode: link }]);
    await assert.rejects(unpackArchive(file, target, limits, new AbortController().signal));
    assert.deepEqual(await readdir(target), []);
  });
});

function many(count: number): Item[] {
  return Array.from({ length: count }, (_, index) => ({ name: `f${index}` }));
}
