import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import { splice } from './splice.ts';

/** Says single bytes as long as it is read, and takes what is written to it when it is told to. */
class End extends Duplex {
  taken = 0;
  #left: number;
  #done: (() => void) | undefined;
  #takes = false;

  constructor(bytes: number) {
    super({ highWaterMark: 64 * 1024 });
    this.#left = bytes;
  }

  override _read(): void {
    this.#left -= 1;
    if (this.#left >= 0) setImmediate(() => this.push(Buffer.of(120)));
    else this.push(null);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.taken += chunk.length;
    if (this.#takes) done();
    else this.#done = done;
  }

  release(): void {
    this.#takes = true;
    this.#done?.();
  }
}

test('single bytes wait at their source while their reader is slow, and all arrive', async () => {
  const bytes = 10_000;
  const source = new End(bytes);
  const reader = new End(0);
  splice(source, reader);
  while (!source.isPaused()) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(reader.writableLength > 4096 && reader.writableLength < 4200, `${reader.writableLength}`);
  reader.release();
  await new Promise((resolve) => reader.once('finish', resolve));
  assert.equal(reader.taken, bytes);
});
