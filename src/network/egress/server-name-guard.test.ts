import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { connect } from 'node:tls';
import { ServerNameGuard } from './server-name-guard.ts';
import { readServerName } from './tls-server-name.ts';

/** What a TLS client sends first. */
async function hello(servername: string | undefined, maxVersion: 'TLSv1.2' | 'TLSv1.3'): Promise<Buffer> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = connect({
    host: '127.0.0.1',
    port,
    maxVersion,
    ...(servername === undefined ? {} : { servername }),
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  client.on('error', () => undefined);
  const [socket] = await once(server, 'connection');
  const [data] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  server.close();
  return data;
}

/** The same message in TLS records of `size` bytes. */
function inRecords(first: Buffer, size: number): Buffer {
  const message = first.subarray(5);
  const records: Buffer[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    const head = Buffer.from(first.subarray(0, 5));
    head.writeUInt16BE(part.length, 3);
    records.push(head, part);
  }
  return Buffer.concat(records);
}

const named = await hello('www.Example.com', 'TLSv1.3');

describe('the first message of a TLS client', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`${version} says which server it wants, or not`, async () => {
      const read = readServerName(await hello('www.Example.com', version));
      assert.deepEqual(read, { kind: 'tls', name: 'www.example.com' });
      assert.deepEqual(readServerName(await hello(undefined, version)), { kind: 'tls', name: undefined });
    });
  }

  test('every start of it is incomplete', () => {
    for (let length = 0; length < named.length; length += 1) {
      assert.deepEqual(readServerName(named.subarray(0, length)), { kind: 'incomplete' }, String(length));
    }
  });

  test('records of any size carry it', () => {
    for (const size of [1, 7, 100, 1000]) {
      assert.deepEqual(readServerName(inRecords(named, size)), { kind: 'tls', name: 'www.example.com' });
    }
  });

  test('other protocols are other', () => {
    for (const text of ['GET / HTTP/1.1\r\n', 'SSH-2.0-x\r\n', '\x16\x02\x01', '\x00']) {
      assert.deepEqual(readServerName(Buffer.from(text, 'latin1')), { kind: 'other' });
    }
  });

  test('what is malformed names nothing, and never throws', () => {
    assert.deepEqual(readServerName(Buffer.from([22, 3, 1, 0, 0, 0])), { kind: 'tls', name: undefined });
    assert.deepEqual(readServerName(Buffer.from([22, 3, 1, 0, 4, 2, 0, 0, 0])), {
      kind: 'tls',
      name: undefined,
    });
    for (let round = 0; round < 20_000; round += 1) {
      const mangled = Buffer.from(named);
      for (let changes = 0; changes <= round % 4; changes += 1) {
        mangled.writeUInt8(randomBytes(1).readUInt8(0), randomBytes(2).readUInt16BE(0) % mangled.length);
      }
      readServerName(mangled);
    }
  });
});

describe('the guard', () => {
  async function pass(pieces: readonly Buffer[], allowed: boolean) {
    const asked: (string | undefined)[] = [];
    const guard = new ServerNameGuard((name) => {
      asked.push(name);
      return allowed;
    });
    const out = buffer(guard).catch((error: Error) => error.message);
    guard.on('error', () => undefined);
    for (const piece of pieces) guard.write(piece);
    guard.end();
    return { asked, out: await out };
  }

  test('holds the first message back until it is allowed, and passes the rest as it is', async () => {
    const sent = [named.subarray(0, 10), named.subarray(10), randomBytes(100_000)];
    const { asked, out } = await pass(sent, true);
    assert.deepEqual(asked, ['www.example.com']);
    assert.ok(Buffer.isBuffer(out) && out.equals(Buffer.concat(sent)));
  });

  test('fails before a byte has passed when it is not', async () => {
    assert.deepEqual(await pass([named], false), {
      asked: ['www.example.com'],
      out: 'the server name is refused',
    });
  });

  test('does not ask about what is no TLS', async () => {
    const { asked, out } = await pass([Buffer.from('GET / HTTP/1.1\r\n\r\n')], false);
    assert.deepEqual([asked, String(out)], [[], 'GET / HTTP/1.1\r\n\r\n']);
  });

  test('takes what comes in very many pieces for TLS without a name', async () => {
    const { asked, out } = await pass(
      Array.from(named, (byte) => Buffer.of(byte)),
      false,
    );
    assert.deepEqual([asked, out], [[undefined], 'the server name is refused']);
  });
});
