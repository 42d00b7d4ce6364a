import assert from 'node:assert/strict';
import http from 'node:http';
import { Duplex } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HeaderList } from '../headers.ts';
import { UnsupportedCoding } from './framing.ts';
import { MalformedMessage, OversizedMessage } from './grammar.ts';
import {
  parseRequestHead,
  parseResponseHead,
  requestHeadText,
  responseHeadText,
  statusLine,
} from './head.ts';
import { HeadReader } from './head-reader.ts';

const limit = 64 * 1024;

/** What a connection makes of the bytes of a head. */
function readRequest(text: string): { method: string; target: string; fields: HeaderList } {
  const reader = new HeadReader(limit);
  assert.ok(reader.read(Buffer.from(text, 'latin1')), 'the head ends');
  const { method, target, section } = parseRequestHead(reader.text);
  return { method, target, fields: section.fields.list };
}

const get = 'GET / HTTP/1.1\r\nHost: x\r\n';

const malformedRequests: ReadonlyArray<readonly [string, string]> = [
  ['no version', 'GET /\r\n\r\n'],
  ['HTTP/0.9', 'GET / HTTP/0.9\r\n\r\n'],
  ['HTTP/2', 'PRI * HTTP/2.0\r\n\r\n'],
  ['version in lower case', 'GET / http/1.1\r\n\r\n'],
  ['two spaces', 'GET  / HTTP/1.1\r\n\r\n'],
  ['a space at the end', 'GET / HTTP/1.1 \r\n\r\n'],
  ['a space at the start', ' GET / HTTP/1.1\r\n\r\n'],
  ['a tab for a space', 'GET\t/ HTTP/1.1\r\n\r\n'],
  ['a space in the target', 'GET /a b HTTP/1.1\r\n\r\n'],
  ['a control character in the target', 'GET /\x01 HTTP/1.1\r\n\r\n'],
  ['bytes beyond ASCII in the target', 'GET /\xe4 HTTP/1.1\r\n\r\n'],
  ['no target', 'GET HTTP/1.1\r\n\r\n'],
  ['no method', '/ HTTP/1.1\r\n\r\n'],
  ['a method that is no token', 'G@T / HTTP/1.1\r\n\r\n'],
  ['no host', 'GET / HTTP/1.1\r\nX: y\r\n\r\n'],
  ['a field without a colon', `${get}X\r\n\r\n`],
  ['a field without a name', `${get}: x\r\n\r\n`],
  ['a space before the colon', `${get}Host : x\r\n\r\n`],
  ['a tab before the colon', `${get}Host\t: x\r\n\r\n`],
  ['a space in a name', `${get}Ho st: x\r\n\r\n`],
  ['a name beyond ASCII', `${get}H\xf6st: x\r\n\r\n`],
  ['a folded line', `${get}X: a\r\n b\r\n\r\n`],
  ['a folded line with a tab', `${get}X: a\r\n\tb\r\n\r\n`],
  ['a field that begins with a space', `${get} X: a\r\n\r\n`],
  ['a bare LF', `${get}X: a\nY: b\r\n\r\n`],
  ['a bare CR', `${get}X: a\rY: b\r\n\r\n`],
  ['CR CR LF', `${get}X: a\r\r\n\r\n`],
  ['a bare LF in the request line', 'GET / HTTP/1.1\nX: a\r\n\r\n'],
  ['NUL in a value', `${get}X: a\0b\r\n\r\n`],
  ['DEL in a value', `${get}X: a\x7fb\r\n\r\n`],
  ['a vertical tab around a value', `${get}X: \x0bchunked\r\n\r\n`],
  ['length and coding', `${get}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`],
  ['length twice', `${get}Content-Length: 1\r\nContent-Length: 1\r\n\r\n`],
  ['a list of lengths', `${get}Content-Length: 1, 1\r\n\r\n`],
  ['a signed length', `${get}Content-Length: +1\r\n\r\n`],
  ['a negative length', `${get}Content-Length: -1\r\n\r\n`],
  ['a hexadecimal length', `${get}Content-Length: 0x1\r\n\r\n`],
  ['a length with an exponent', `${get}Content-Length: 1e1\r\n\r\n`],
  ['an empty length', `${get}Content-Length:\r\n\r\n`],
  ['a length beyond integers', `${get}Content-Length: 9007199254740993\r\n\r\n`],
  ['a coding in HTTP/1.0', 'GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n'],
];

for (const [name, text] of malformedRequests) {
  test(`a request with ${name} is malformed`, () => {
    assert.throws(() => readRequest(text), MalformedMessage);
  });
}

for (const coding of [
  'gzip',
  'gzip, chunked',
  'chunked, chunked',
  'identity',
  'xchunked',
  'chunked;q=1',
  '',
]) {
  test(`the coding "${coding}" is not supported`, () => {
    assert.throws(() => readRequest(`${get}Transfer-Encoding: ${coding}\r\n\r\n`), UnsupportedCoding);
  });
}

const malformedResponses: ReadonlyArray<readonly [string, string]> = [
  ['another protocol', 'ICY 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status that is no number', 'HTTP/1.1 2x0 OK\r\n\r\n'],
  ['a control character in the reason', 'HTTP/1.1 200 O\x01K\r\n\r\n'],
  ['no space behind the version', 'HTTP/1.1200 OK\r\n\r\n'],
  ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
];

for (const [name, text] of malformedResponses) {
  test(`a response with ${name} is malformed`, () => {
    assert.throws(() => parseResponseHead(text.slice(0, -2)), MalformedMessage);
  });
}

test('a reason may be missing', () => {
  for (const line of ['HTTP/1.1 200 ', 'HTTP/1.1 200', 'HTTP/1.0 404 Not there\xe4']) {
    assert.match(String(parseResponseHead(`${line}\r\n`).status), /^(200|404)$/);
  }
});

test('what HTTP/1.1 has no way to say is not written', () => {
  const bad: readonly HeaderList[] = [
    ['a b', ''],
    ['', ''],
    ['x', 'a\r\nb: c'],
    ['x', 'a\u010a'],
    ['x\u010a', 'a'],
  ];
  for (const fields of bad) {
    assert.throws(() => requestHeadText('GET', '/', fields), MalformedMessage);
    assert.throws(() => responseHeadText(200, fields), MalformedMessage);
  }
  for (const [method, target] of [
    ['GET', '/a b'],
    ['GET', '/\u010a'],
    ['GET', ''],
    ['GE T', '/'],
    ['', '/'],
  ] as const) {
    assert.throws(() => requestHeadText(method, target, []), MalformedMessage);
  }
  assert.equal(statusLine(404, 'a\r\nb'), 'HTTP/1.1 404 Not Found\r\n');
});

test('what was read of one head serves for the next, if it is the same', () => {
  const first = parseRequestHead('GET /1 HTTP/1.1\r\nHost: x\r\n');
  const same = parseRequestHead('PUT /2 HTTP/1.1\r\nHost: x\r\n', first.section);
  assert.deepEqual([same.method, same.target], ['PUT', '/2']);
  assert.equal(same.section, first.section);
  for (const other of [
    'HTTP/1.0\r\nHost: x\r\n',
    'HTTP/1.1\r\nHost: y\r\n',
    'HTTP/1.1\r\nHost: x\r\nA: b\r\n',
  ]) {
    assert.notEqual(parseRequestHead(`GET /1 ${other}`, first.section).section, first.section);
  }
  const response = parseResponseHead('HTTP/1.1 200 OK\r\nA: b\r\n');
  assert.equal(parseResponseHead('HTTP/1.1 200 OK\r\nA: b\r\n', response), response);
  assert.equal(parseResponseHead('HTTP/1.1 201 OK\r\nA: b\r\n', response).status, 201);
});

test('where a bare LF is a line end, heads end with any of them', () => {
  const heads = ['A: b\n\n', 'A: b\r\n\n', 'A: b\n\r\n', 'A: b\r\n\r\n'];
  for (const head of heads.flatMap((fields) => [
    `HTTP/1.1 200 OK\n${fields}`,
    `HTTP/1.1 200 OK\r\n${fields}`,
  ])) {
    const bytes = Buffer.from(`${head}\nrest`);
    for (const cut of Array.from(head, (_, index) => index)) {
      const reader = new HeadReader(limit, 'HTTP/1.', 'CR LF or LF');
      assert.equal(reader.read(bytes.subarray(0, cut)), false, JSON.stringify(head.slice(0, cut)));
      assert.ok(reader.read(bytes.subarray(cut)), JSON.stringify(head));
      assert.equal(reader.rest.toString(), '\nrest');
      const { status, fields } = parseResponseHead(reader.text);
      assert.deepEqual([status, fields.list], [200, ['A', 'b']]);
    }
  }
  const long = new HeadReader(limit, 'HTTP/1.', 'CR LF or LF');
  assert.ok(long.read(Buffer.from(`HTTP/1.1 200 OK\nA: ${'b'.repeat(3000)}\n\nrest`)));
  assert.equal(long.rest.toString(), 'rest');
});

test('a CR that ends no line is none, there either', () => {
  for (const text of ['HTTP/1.1 200 OK\nA: b\rB: c\n', 'HTTP/1.1 200 OK\nA: b\r\r\n']) {
    assert.throws(() => parseResponseHead(text), MalformedMessage);
  }
});

test('a head beyond the limit is not waited for', () => {
  const reader = new HeadReader(1000);
  assert.equal(reader.read(Buffer.alloc(900, 'a')), false);
  assert.throws(() => reader.read(Buffer.alloc(200, 'a')), OversizedMessage);
  assert.throws(() => new HeadReader(10).read(Buffer.from(`${get}\r\n`)), OversizedMessage);
});

test('what cannot become a head is refused before it ends', () => {
  assert.throws(() => new HeadReader(limit).read(Buffer.from(`${get}X: a\n`)), MalformedMessage);
  assert.throws(() => new HeadReader(limit, 'HTTP/1.').read(Buffer.from('SS')), MalformedMessage);
  assert.equal(new HeadReader(limit, 'HTTP/1.').read(Buffer.from('HTT')), false);
});

const tokenText = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/);
const valueText = fc.stringMatching(
  /^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,30}[\x21-\x7e\x80-\xff])?)?$/,
);
const framing = new Set(['content-length', 'transfer-encoding']);
const fieldList = fc
  .array(fc.tuple(tokenText, valueText), { maxLength: 12 })
  .map((pairs) => pairs.filter(([name]) => !framing.has(name.toLowerCase())).flat());
const targetText = fc.stringMatching(/^\/[\x21-\x7e]{0,40}$/);

/** Feeds bytes in pieces cut at the given places. */
function inPieces(bytes: Buffer, cuts: readonly number[]): readonly Buffer[] {
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

test('what is written is read back, however the bytes come', () => {
  const cuts = fc.array(fc.nat(), { maxLength: 6 });
  fc.assert(
    fc.property(
      tokenText,
      targetText,
      fieldList,
      cuts,
      fc.string(),
      (method, target, fields, places, behind) => {
        const text = requestHeadText(method, target, ['Host', 'x', ...fields]);
        const reader = new HeadReader(limit);
        let rest = '';
        let complete = false;
        for (const piece of inPieces(Buffer.from(text + behind, 'latin1'), places)) {
          if (complete) rest += piece.toString('latin1');
          else if (reader.read(piece)) {
            complete = true;
            rest = reader.rest.toString('latin1');
          }
        }
        assert.ok(complete);
        assert.equal(rest, Buffer.from(behind, 'latin1').toString('latin1'));
        const head = parseRequestHead(reader.text);
        assert.deepEqual([head.method, head.target], [method, target]);
        assert.deepEqual(head.section.fields.list, ['Host', 'x', ...fields]);
      },
    ),
  );
});

test('a valid head means the same to the parser of Node', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('GET', 'PUT', 'DELETE'),
      targetText,
      fieldList,
      async (method, target, fields) => {
        const text = requestHeadText(method, target, ['Host', 'x', ...fields]);
        const ours = readRequest(text);
        const theirs = await parsedByNode(text);
        assert.deepEqual(ours, { method: theirs.method, target: theirs.url, fields: theirs.rawHeaders });
      },
    ),
    { numRuns: 50 },
  );
});

function parsedByNode(text: string): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const server = http.createServer(resolve);
  server.maxHeadersCount = 0;
  for (const event of ['upgrade', 'checkContinue', 'checkExpectation'] as const) server.on(event, resolve);
  server.on('clientError', reject);
  const connection = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done) => done() });
  server.emit('connection', connection);
  connection.push(Buffer.from(text, 'latin1'));
  return promise;
}
