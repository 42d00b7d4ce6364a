import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { Inlet } from './inlet.ts';

class Reader extends Readable {
  handedOver = 0;
  readonly inlet = new Inlet(this, (bytes) => {
    this.handedOver += bytes;
  });

  override _read(): void {
    this.inlet.wanted();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.inlet.settle();
    return chunk;
  }
}

const text = 'the quick brown fox '.repeat(10_000);

for (const size of [1, 3, 1000, 5000]) {
  test(`pieces of ${size} bytes arrive in order, read as they come, late, or one at a time`, async () => {
    const eager = new Reader({ highWaterMark: 65_536 });
    const late = new Reader({ highWaterMark: 65_536 });
    const slow = new Reader({ highWaterMark: 65_536 });
    const eagerly = buffer(eager);
    const slowly: unknown[] = [];
    slow.on('data', (chunk) => {
      slowly.push(chunk);
      slow.pause();
      setImmediate(() => slow.resume());
    });
    for (let at = 0; at < text.length; at += size) {
      for (const reader of [eager, late, slow]) reader.inlet.put(Buffer.from(text.slice(at, at + size)));
    }
    for (const reader of [eager, late, slow]) reader.inlet.end();
    assert.equal((await eagerly).toString(), text);
    assert.equal((await buffer(late)).toString(), text);
    if (!slow.readableEnded) await new Promise((resolve) => slow.once('end', resolve));
    assert.equal(Buffer.concat(slowly as Buffer[]).toString(), text);
  });
}

test('a reader that comes now and then gets all that there is', () => {
  const reader = new Reader({ highWaterMark: 65_536 });
  assert.equal(reader.read(), null);
  const seen: Buffer[] = [];
  for (let round = 0; round < 50; round += 1) {
    for (let byte = 0; byte < 100; byte += 1) reader.inlet.put(Buffer.of(byte));
    for (let chunk = reader.read(); chunk !== null; chunk = reader.read()) seen.push(chunk as Buffer);
    assert.equal(Buffer.concat(seen).length, (round + 1) * 100);
  }
});

test('only what the reader has got counts as handed over', () => {
  const reader = new Reader({ highWaterMark: 65_536 });
  reader.read(0);
  for (let byte = 0; byte < 1000; byte += 1) reader.inlet.put(Buffer.of(byte));
  assert.ok(reader.handedOver < 1000);
  reader.inlet.put(Buffer.alloc(300_000));
  assert.ok(reader.handedOver <= 65_536 + 4096 || reader.readableLength > 65_536);
});
