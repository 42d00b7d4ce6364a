import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { DataDirectoryError, openDataDirectory } from './data-directory.ts';

const run = promisify(execFile);

describe('the data directory', () => {
  let scratch: string;
  const at = (name: string): string => path.join(scratch, name);
  before(async () => {
    scratch = await mkdtemp(path.join(os.tmpdir(), 'dormouse-data-'));
  });
  after(() => rm(scratch, { recursive: true, force: true }));

  async function refused(directory: string, why: RegExp): Promise<void> {
    await assert.rejects(openDataDirectory(directory), (error: Error) => {
      assert.ok(error instanceof DataDirectoryError);
      assert.match(error.message, why);
      assert.match(error.message, /--data-dir$/);
      assert.ok(error.message.includes(directory));
      return true;
    });
  }

  it('is made, and left as it was', async () => {
    await openDataDirectory(at('a/new/one'));
    await openDataDirectory(at('a/new/one'));
    assert.deepEqual(await readdir(at('a/new/one')), []);
  });

  it('is refused where a file is', async () => {
    await writeFile(at('file'), '');
    await refused(at('file'), /there is a file in its place/);
    await refused(at('file/below'), /there is a file in its place/);
  });

  it('is refused where the user may not write', async (context) => {
    if (process.getuid?.() === 0) return context.skip('root may write everywhere');
    await mkdir(at('kept'), { mode: 0o500 });
    await refused(at('kept'), /this user may not write to it/);
    await refused(at('kept/new'), /this user may not write to it/);
    await chmod(at('kept'), 0o700);
  });

  it('is refused on a file system that is read-only or full', async (context) => {
    const mount = at('mount');
    await mkdir(mount);
    try {
      await run('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mount]);
    } catch {
      return context.skip('this user may not mount a small file system');
    }
    try {
      await openDataDirectory(path.join(mount, 'data'));
      await writeFile(path.join(mount, 'ballast'), Buffer.alloc(1 << 20)).catch(() => undefined);
      await refused(path.join(mount, 'data'), /the disk is full/);
      await run('mount', ['-o', 'remount,ro', mount]);
      await refused(path.join(mount, 'data'), /the file system is read-only/);
      await refused(path.join(mount, 'data/new/er'), /the file system is read-only/);
    } finally {
      await run('umount', [mount]);
    }
  });
});
