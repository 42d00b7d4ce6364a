import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { sendOutput } from './web-socket.ts';

/** A connection whose client takes messages when it is told to. */
class SlowConnection {
  bufferedAmount = 0;
  readonly unsent: { readonly size: number; readonly done: () => void }[] = [];
  sent = 0;

  send(message: Uint8Array, done: () => void): void {
    this.unsent.push({ size: message.length, done });
    this.bufferedAmount += message.length;
  }

  take(count: number): void {
    for (const { size, done } of this.unsent.splice(0, count)) {
      this.bufferedAmount -= size;
      this.sent += size;
      done();
    }
  }
}

for (const [name, piece, most] of [
  ['single bytes', 1, 64],
  ['long pieces', 64 * 1024, 16],
] as const) {
  test(`a client that takes nothing makes a process wait that says ${name}`, async () => {
    const connection = new SlowConnection();
    let left = 500;
    const output = new Readable({
      read() {
        left -= 1;
        this.push(left >= 0 ? Buffer.alloc(piece) : null);
      },
    });
    sendOutput(connection as unknown as Parameters<typeof sendOutput>[0], output, (chunk) => chunk);
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    for (let count = 0; count < 20; count += 1) await turn();
    assert.equal(connection.unsent.length, most);
    while (connection.sent < 500 * piece) {
      connection.take(1);
      await turn();
      assert.ok(connection.unsent.length <= most);
    }
  });
}
