import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { absence } from '../../../test/support/programs.ts';
import { systemCalls } from '../../../test/support/system-calls.ts';
import { SnapshotCorruptError, VmmError } from '../vmm.ts';
import { applyMemoryDifference, checksumFiles, saveMemoryDifference } from './helper.ts';

const run = promisify(execFile);
const native = fileURLToPath(new URL('./native', import.meta.url));
const page = Number((await run('getconf', ['PAGESIZE'])).stdout);
const pages = 9000;
const headerBytes = 24;
const recordBytes = 16;
const noTracer = await absence('strace', 'strace');

/** CRC-32C, bit by bit: independent of the helper's. */
function crc32c(data: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of data) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** A difference file with these records and a right checksum. */
function difference(
  records: readonly (readonly [firstPage: number, pages: number, kind: number, payload?: Uint8Array])[],
): Buffer {
  const header = Buffer.alloc(headerBytes);
  header.write('DMSEDIFF');
  header.writeUInt32LE(1, 8);
  header.writeUInt32LE(page, 12);
  header.writeBigUInt64LE(BigInt(pages * page), 16);
  const body = records.map(([firstPage, count, kind, payload = new Uint8Array()]) => {
    const record = Buffer.alloc(recordBytes);
    record.writeBigUInt64LE(BigInt(firstPage));
    record.writeUInt32LE(count, 8);
    record.writeUInt32LE(kind, 12);
    return Buffer.concat([record, payload]);
  });
  const content = Buffer.concat([header, ...body]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(crc32c(content));
  return Buffer.concat([content, checksum]);
}

/** A process that has the memory mapped as a VMM does. */
class Mapper {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async start(program: string, memory: string): Promise<Mapper> {
    const mapper = new Mapper(spawn(program, [memory], { stdio: ['pipe', 'pipe', 'inherit'] }));
    await mapper.#answer();
    return mapper;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async order(line: string): Promise<void> {
    const answer = this.#answer();
    this.#child.stdin?.write(`${line}\n`);
    await answer;
  }

  async #answer(): Promise<void> {
    assert.ok(this.#child.stdout);
    const [text] = (await once(this.#child.stdout, 'data')) as [Buffer];
    assert.equal(text.toString(), 'ok\n');
  }

  async end(): Promise<void> {
    const exit = once(this.#child, 'exit');
    this.#child.stdin?.end();
    await exit;
  }
}

describe('memory-difference', () => {
  let directory: string;
  let helper: string;
  let program: string;
  let memory: string;
  const at = (name: string): string => path.join(directory, name);

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-helper-'));
    helper = at('memory-difference');
    program = at('mapper');
    memory = at('memory');
    const sanitizers = '-fsanitize=address,undefined -fno-sanitize-recover=all';
    await Promise.all([
      run('make', [
        '-s',
        '-C',
        native,
        `OUT=${directory}`,
        helper,
        `CFLAGS=-O1 -g ${sanitizers}`,
        `LDFLAGS=${sanitizers}`,
      ]),
      run('cc', ['-O1', '-o', program, path.join(native, 'mapper-for-test.c')]),
    ]);
    const handle = await open(memory, 'w');
    await handle.truncate(pages * page);
    await handle.write(Buffer.alloc(300 * page, 0xaa), 0, 300 * page, 100 * page);
    await handle.write(Buffer.alloc(page, 0xbb), 0, page, (pages - 1) * page);
    await handle.close();
  });
  after(() => rm(directory, { recursive: true, force: true }));

  async function applied(file: string): Promise<Buffer> {
    const mapper = await Mapper.start(program, memory);
    try {
      await applyMemoryDifference(helper, mapper.pid, memory, file);
      await mapper.order(`dump ${at('after')}`);
      return await readFile(at('after'));
    } finally {
      await mapper.end();
    }
  }

  it('has a difference on the disk when it ends', { skip: noTracer }, async () => {
    const mapper = await Mapper.start(program, memory);
    try {
      await mapper.order(`fill 0 ${page} 1`);
      const output = at('synced');
      const save = [helper, 'save', String(mapper.pid), memory, output];
      const calls = await systemCalls(['env', 'ASAN_OPTIONS=detect_leaks=0', ...save], output, at('calls'));
      assert.deepEqual([...new Set(calls.map(({ name }) => name))], ['create', 'write', 'sync', 'say']);
      assert.equal(calls.findLast(({ subject }) => subject === output)?.name, 'sync');
    } finally {
      await mapper.end();
    }
  });

  it('brings a memory back exactly and stores only pages that really differ', async () => {
    const mapper = await Mapper.start(program, memory);
    const fills = [
      [0, 3, 1],
      [page - 1, 2, 2],
      [50 * page, 200 * page, 3],
      [300 * page, 20 * page, 0xaa],
      [350 * page, 10 * page, 0],
      [5000 * page, 70 * page + 5, 4],
      [7000 * page, page, 0],
      [(pages - 1) * page, page, 5],
    ];
    for (const fill of fills) await mapper.order(`fill ${fill.join(' ')}`);
    await mapper.order(`dump ${at('before')}`);
    await saveMemoryDifference(helper, mapper.pid, memory, at('difference'));
    await mapper.end();
    const stored = 2 + 200 + 71 + 1;
    const { size } = await stat(at('difference'));
    assert.ok(size >= stored * page && size < (stored + 1) * page, `${size / page} pages`);
    assert.ok((await applied(at('difference'))).equals(await readFile(at('before'))));
  });

  it('stores next to nothing of an untouched memory', async () => {
    const mapper = await Mapper.start(program, memory);
    await saveMemoryDifference(helper, mapper.pid, memory, at('nothing'));
    await mapper.end();
    assert.equal((await stat(at('nothing'))).size, headerBytes + recordBytes + 4);
    assert.ok((await applied(at('nothing'))).equals(await readFile(memory)));
  });

  it('writes the documented format', async () => {
    await writeFile(
      at('made'),
      difference([
        [7, 2, 1, Buffer.alloc(2 * page, 9)],
        [101, 1, 2],
        [3, 0, 0],
      ]),
    );
    const expected = await readFile(memory);
    expected.fill(9, 7 * page, 9 * page);
    expected.fill(0, 101 * page, 102 * page);
    assert.ok((await applied(at('made'))).equals(expected));
  });

  const payload = new Uint8Array(page);
  const whole = difference([
    [1, 1, 1, payload],
    [1, 0, 0],
  ]);
  const impossible: Readonly<Record<string, Buffer>> = {
    empty: Buffer.alloc(0),
    'cut short': whole.subarray(0, -1),
    'too long': Buffer.concat([whole, Buffer.from('x')]),
    'without an end': difference([[1, 1, 1, payload]]),
    'with a wrong count': difference([
      [1, 1, 1, payload],
      [2, 0, 0],
    ]),
    'past the memory': difference([
      [pages, 1, 1, payload],
      [1, 0, 0],
    ]),
    'past the memory by its length': difference([
      [pages - 1, 2, 2],
      [2, 0, 0],
    ]),
    'with an overflowing page number': difference([
      [Number.MAX_SAFE_INTEGER, 1, 2],
      [1, 0, 0],
    ]),
    'with less data than it says': difference([
      [1, 3, 1, payload],
      [3, 0, 0],
    ]),
    'with an empty record': difference([
      [1, 0, 1],
      [0, 0, 0],
    ]),
    'with an unknown record': difference([
      [1, 1, 3],
      [1, 0, 0],
    ]),
    'of another format': Buffer.concat([Buffer.from('DMSEDIFX'), whole.subarray(8)]),
  };
  for (const [what, content] of Object.entries(impossible)) {
    it(`refuses a difference ${what}`, async () => {
      await writeFile(at('bad'), content);
      await assert.rejects(applied(at('bad')), SnapshotCorruptError);
    });
  }

  it('refuses a process that does not have the memory mapped, and another size', async () => {
    const mapper = await Mapper.start(program, memory);
    await cp(memory, at('copy'));
    await assert.rejects(saveMemoryDifference(helper, mapper.pid, at('copy'), at('none')), VmmError);
    await assert.rejects(saveMemoryDifference(helper, process.pid, memory, at('none')), VmmError);
    await assert.rejects(stat(at('none')));
    await mapper.end();
  });

  it('gives files of equal content the same checksum, however sparse, and others another', async () => {
    const handle = await open(at('moved'), 'w');
    await handle.truncate(pages * page);
    await handle.write(Buffer.alloc(300 * page, 0xaa), 0, 300 * page, 101 * page);
    await handle.write(Buffer.alloc(page, 0xbb), 0, page, (pages - 1) * page);
    await handle.close();
    await writeFile(at('dense'), await readFile(memory));
    const [sparse, dense, moved] = await checksumFiles(helper, [memory, at('dense'), at('moved')]);
    assert.match(sparse ?? '', /^crc32c:[0-9a-f]{8}$/);
    assert.equal(dense, sparse);
    assert.notEqual(moved, sparse);
  });
});
