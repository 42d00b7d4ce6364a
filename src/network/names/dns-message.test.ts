import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { failure, fitDatagram, isQuery, isRequest, responseCode } from './dns-message.ts';

const question = Buffer.from('\x03one\x07example\x00\x00\x01\x00\x01', 'latin1');

function query(extra: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.from([0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, extra.length > 0 ? 1 : 0]);
  return Buffer.concat([head, question, extra]);
}

function opt(size: number): Buffer {
  return Buffer.from([0, 0, 41, size >> 8, size & 0xff, 0, 0, 0, 0, 0, 0]);
}

function answerOf(size: number): Buffer {
  const head = Buffer.from([0, 7, 0x81, 0x80, 0, 1, 0, 9, 0, 0, 0, 0]);
  return Buffer.concat([head, question], size);
}

test('a failure repeats id and question and carries no record', () => {
  const said = failure(query(opt(4096)), responseCode.serverFailure);
  assert.deepEqual(said, Buffer.concat([Buffer.from([0, 7, 0x81, 0x82, 0, 1, 0, 0, 0, 0, 0, 0]), question]));
});

test('an answer that fits is passed on as it is', () => {
  assert.equal(fitDatagram(query(), answerOf(512)).length, 512);
  assert.equal(fitDatagram(query(opt(1232)), answerOf(1232)).length, 1232);
});

test('a longer one becomes a notice to ask over TCP', () => {
  for (const [asked, size] of [
    [query(), 513],
    [query(opt(1232)), 1233],
    [query(opt(100)), 513],
  ] as const) {
    const cut = fitDatagram(asked, answerOf(size));
    assert.deepEqual(cut, Buffer.concat([Buffer.from([0, 7, 0x83, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]), question]));
  }
});

test('answers and fragments are no requests', () => {
  assert.ok(isRequest(query()));
  assert.ok(!isRequest(answerOf(100)));
  assert.ok(!isRequest(query().subarray(0, 12)));
});

test('only one question about a name is a query', () => {
  const changed = (at: number, value: number): Buffer => {
    const message = query();
    message.writeUInt8(value, at);
    return message;
  };
  assert.ok(isQuery(query()));
  assert.ok(isQuery(query(opt(4096))));
  const opcodes = { inverse: 1, status: 2, notify: 4, update: 5, stateful: 6 };
  for (const [name, opcode] of Object.entries(opcodes)) assert.ok(!isQuery(changed(2, opcode << 3)), name);
  const typeAt = query().length - 3;
  for (const [name, type] of Object.entries({ IXFR: 251, AXFR: 252 })) {
    assert.ok(!isQuery(changed(typeAt, type)), name);
  }
  const counts = {
    'no question': [5, 0],
    'two questions': [5, 2],
    answers: [7, 1],
    authority: [9, 1],
  } as const;
  for (const [name, [at, count]] of Object.entries(counts)) assert.ok(!isQuery(changed(at, count)), name);
  assert.ok(!isQuery(query().subarray(0, -1)), 'cut short');
});

test('whatever a guest or a name server sends, the result is a message no longer than was sent', () => {
  const message = fc.uint8Array({ minLength: 12, maxLength: 2000 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(message, message, (asked, answer) => {
      assert.ok(failure(asked, responseCode.refused).length <= asked.length);
      assert.ok(fitDatagram(asked, answer).length <= answer.length);
    }),
  );
});
