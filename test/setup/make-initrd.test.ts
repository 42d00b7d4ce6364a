import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';

const run = promisify(execFile);
const compress = promisify(gzip);
const makeInitrd = fileURLToPath(new URL('../../scripts/lib/make-initrd', import.meta.url));

/** The parts of a "newc" archive that matter here. */
interface Entry {
  readonly mode: number;
  readonly owner: number;
  readonly modified: number;
  readonly content: string;
}

function readArchive(archive: Buffer): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  const aligned = (offset: number): number => Math.ceil(offset / 4) * 4;
  for (let at = 0; ; ) {
    const field = (index: number): number =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16);
    assert.equal(archive.toString('latin1', at, at + 6), '070701');
    const name = archive.toString('utf8', at + 110, at + 110 + field(11) - 1);
    if (name === 'TRAILER!!!') return entries;
    const start = aligned(at + 110 + field(11));
    entries.set(name, {
      mode: field(1),
      owner: field(2),
      modified: field(5),
      content: archive.toString('latin1', start, start + field(6)),
    });
    at = aligned(start + field(6));
  }
}

describe('make-initrd', () => {
  let directory: string;
  const at = (...parts: string[]): string => path.join(directory, ...parts);

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-initrd-'));
    await writeFile(at('agent'), 'the agent', { mode: 0o755 });
  });
  after(() => rm(directory, { recursive: true }));

  /** A kernel package's tree; a module is what its .modinfo section says of its dependencies. */
  async function kernelTree(name: string, modules: Record<string, string>, builtIn = ''): Promise<string> {
    const root = at(name, 'lib', 'modules', '6.12.0-test');
    await mkdir(path.join(root, 'kernel', 'drivers'), { recursive: true });
    await writeFile(path.join(root, 'modules.builtin'), builtIn);
    for (const [file, depends] of Object.entries(modules)) {
      const content = Buffer.from(`\x7fELF\0license=GPL\0depends=${depends}\0name=${file}\0`);
      await writeFile(
        path.join(root, 'kernel', 'drivers', file),
        file.endsWith('.gz') ? await compress(content) : content,
      );
    }
    return at(name);
  }
  const complete = {
    'virtio_blk.ko': '',
    'virtio-rng.ko.gz': 'rng-core',
    'rng-core.ko': 'base_thing',
    'base-thing.ko': '',
    'overlay.ko': 'base_thing',
    'unwanted.ko': '',
  };

  it('puts modules in after those they depend on, decompressed, each once', async () => {
    await run(makeInitrd, [await kernelTree('complete', complete), at('agent'), at('initrd')]);
    const entries = readArchive(await readFile(at('initrd')));
    assert.deepEqual(entries.get('modules/order')?.content.split('\n'), [
      '00-virtio_blk.ko',
      '01-base_thing.ko',
      '02-rng_core.ko',
      '03-virtio_rng.ko',
      '04-overlay.ko',
      '',
    ]);
    assert.match(entries.get('modules/03-virtio_rng.ko')?.content ?? '', /^\x7fELF.*depends=rng-core/);
    assert.deepEqual(entries.get('init'), { mode: 0o100755, owner: 0, modified: 0, content: 'the agent' });
    assert.equal([...entries.keys()].filter((name) => name.endsWith('.ko')).length, 5);
  });

  it('gives the same bytes for the same inputs, whenever they were written', async () => {
    const first = await kernelTree('first', complete);
    const second = await kernelTree('second', Object.fromEntries(Object.entries(complete).reverse()));
    await run(makeInitrd, [first, at('agent'), at('initrd-1')]);
    await utimes(at('agent'), 1, 1);
    await run(makeInitrd, [second, at('agent'), at('initrd-2')], {
      env: { ...process.env, TZ: 'Asia/Tokyo' },
    });
    assert.ok((await readFile(at('initrd-1'))).equals(await readFile(at('initrd-2'))));
  });

  it('leaves out what the kernel has built in', async () => {
    const { 'overlay.ko': _, ...others } = complete;
    const tree = await kernelTree('built-in', others, 'kernel/fs/overlayfs/overlay.ko\n');
    await run(makeInitrd, [tree, at('agent'), at('initrd')]);
    const entries = readArchive(await readFile(at('initrd')));
    assert.ok(!entries.get('modules/order')?.content.includes('overlay'));
  });

  it('fails, keeping the old archive, when a module is nowhere', async () => {
    await writeFile(at('kept'), 'old');
    const tree = await kernelTree('lacking', { ...complete, 'virtio_blk.ko': 'missing_one' });
    await assert.rejects(
      run(makeInitrd, [tree, at('agent'), at('kept')]),
      /missing_one \(needed by virtio_blk\)/,
    );
    assert.equal(await readFile(at('kept'), 'utf8'), 'old');
  });
});
