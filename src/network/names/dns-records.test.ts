import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { askedName, readAnswer } from './dns-records.ts';

function name(text: string): Buffer {
  const labels = text === '' ? [] : text.split('.');
  return Buffer.concat([
    ...labels.map((each) => Buffer.from([each.length, ...Buffer.from(each)])),
    Buffer.of(0),
  ]);
}

function message(head: { flags?: number; questions?: number; answers?: number }, ...parts: Buffer[]): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(head.flags ?? 0x0100, 2);
  header.writeUInt16BE(head.questions ?? 1, 4);
  header.writeUInt16BE(head.answers ?? 0, 6);
  return Buffer.concat([header, ...parts]);
}

function question(of: string, type = 1): Buffer {
  return Buffer.concat([name(of), Buffer.from([0, type, 0, 1])]);
}

function record(owner: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  const head = Buffer.alloc(10);
  head.writeUInt16BE(type, 0);
  head.writeUInt16BE(1, 2);
  head.writeUInt32BE(ttl, 4);
  head.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, head, data]);
}

const toQuestion = Buffer.from([0xc0, 12]);

test('reads the one name that is asked for', () => {
  assert.equal(askedName(message({}, question('WWW.Example.com'))), 'www.example.com');
  assert.equal(askedName(message({}, question(''))), '');
});

const odd: readonly (readonly [string, Buffer])[] = [
  ['two questions', message({ questions: 2 }, question('a.example'), question('b.example'))],
  ['no question', message({ questions: 0 }, question('a.example'))],
  ['an update', message({ flags: 0x2800 }, question('a.example'))],
  ['a label with a dot in it', message({}, Buffer.from([3, 0x61, 0x2e, 0x62, 0, 0, 1, 0, 1]))],
  ['a compressed question', message({}, Buffer.from([0xc0, 12, 0, 1, 0, 1]))],
  ['a short message', message({}, Buffer.from([3, 0x61]))],
];
for (const [what, query] of odd) {
  test(`${what} is no plain question`, () => assert.equal(askedName(query), undefined));
}

test('follows other names to the addresses', () => {
  const answer = message(
    { flags: 0x8180, answers: 5 },
    question('www.example.com'),
    record(toQuestion, 5, 60, name('edge.cdn.example')),
    record(name('edge.cdn.example'), 5, 60, name('a.cdn.example')),
    record(name('A.cdn.example'), 1, 30, Buffer.from([192, 0, 2, 1])),
    record(name('a.cdn.example'), 28, 30, Buffer.alloc(16)),
    // Not what was asked for.
    record(name('other.example'), 1, 30, Buffer.from([192, 0, 2, 9])),
  );
  assert.deepEqual(readAnswer(answer, 'www.example.com'), {
    aliases: ['edge.cdn.example', 'a.cdn.example'],
    addresses: [{ address: '192.0.2.1', ttlSeconds: 30 }],
  });
});

test('names that go round in circles lead nowhere', () => {
  const answer = message(
    { flags: 0x8180, answers: 3 },
    question('a.example'),
    record(toQuestion, 5, 60, name('b.example')),
    record(name('b.example'), 5, 60, name('a.example')),
    record(Buffer.from([0xc0, 0xff]), 1, 60, Buffer.from([192, 0, 2, 1])),
  );
  assert.deepEqual(readAnswer(answer, 'a.example'), { aliases: ['b.example'], addresses: [] });
});

test('survives whatever comes', () => {
  const sane = message(
    { flags: 0x8180, answers: 2 },
    question('a.example'),
    record(toQuestion, 5, 60, name('b.example')),
    record(name('b.example'), 1, 60, Buffer.from([192, 0, 2, 1])),
  );
  for (let round = 0; round < 5000; round += 1) {
    const mangled = Buffer.from(sane);
    const at = randomBytes(2).readUInt16BE(0) % mangled.length;
    mangled.writeUInt8(randomBytes(1).readUInt8(0), at);
    const cut = mangled.subarray(0, 12 + (randomBytes(1).readUInt8(0) % (mangled.length - 12)));
    for (const each of [mangled, cut]) {
      askedName(each);
      readAnswer(each, 'a.example');
    }
  }
});
