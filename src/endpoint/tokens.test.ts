import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { grantsPort, type PortGrant } from '../model/port-grant.ts';
import { allowsPort, decodePayload, encodePayload, TokenPayloadError } from './token-payload.ts';
import { openTokens, type Tokens } from './tokens.ts';

const microvmId = 'microvm-6a1b8a3e-1111-4222-8333-444455556666';

async function temporaryDirectory(t: TestContext): Promise<string> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-tokens-'));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

async function tokensAt(t: TestContext, time: { now: number }): Promise<Tokens> {
  return await openTokens({ directory: await temporaryDirectory(t), clock: { now: () => time.now } });
}

const port = fc.integer({ min: 1, max: 65_535 });
const grant: fc.Arbitrary<PortGrant> = fc.oneof(
  port.map((value) => ({ port: value })),
  fc.tuple(port, port).map(([a, b]) => ({ range: { startPort: Math.min(a, b), endPort: Math.max(a, b) } })),
);

test('a payload keeps what it was made of and allows exactly the granted ports', () => {
  fc.assert(
    fc.property(
      fc.array(grant, { minLength: 1, maxLength: 80 }),
      fc.array(port, { maxLength: 50 }),
      fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      fc.uuid(),
      (grants, probes, expiresAt, uuid) => {
        const claims = decodePayload(
          encodePayload({ microvmId: `microvm-${uuid}`, grant: grants, expiresAt }),
        );
        assert.equal(claims.microvmId, `microvm-${uuid}`);
        assert.equal(claims.expiresAt, expiresAt);
        const edges = grants.flatMap((entry) =>
          'port' in entry
            ? [entry.port - 1, entry.port, entry.port + 1]
            : 'range' in entry
              ? [
                  entry.range.startPort - 1,
                  entry.range.startPort,
                  entry.range.endPort,
                  entry.range.endPort + 1,
                ]
              : [],
        );
        for (const probe of [...probes, ...edges]) {
          assert.equal(allowsPort(claims, probe), grantsPort(grants, probe), `port ${probe}`);
        }
      },
    ),
  );
});

test('arbitrary bytes are a payload or a payload error, nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      try {
        decodePayload(bytes);
      } catch (error) {
        assert.ok(error instanceof TokenPayloadError);
      }
    }),
  );
});

test('tokens have the recorded form and lengths, whatever they grant', async (t) => {
  const tokens = await tokensAt(t, { now: 1_800_000_000_000 });
  const fifty = Array.from({ length: 50 }, (_, index) => ({ port: 1000 + index * 2 }));
  const cases = [
    [[{ port: 8080 }], 1, 823],
    [[{ port: 1 }], 60, 823],
    [[{ range: { startPort: 1, endPort: 65_535 } }], 5, 823],
    [fifty, 60, 823],
    [[{ allPorts: {} }], 60, 767],
    [[{ port: 80 }, { allPorts: {} }], 1, 767],
    ['shell', 5, 767],
  ] as const;
  for (const [granted, minutes, length] of cases) {
    const token = await tokens.mint(microvmId, granted, minutes);
    assert.equal(token.length, length);
    const [header = '', key, iv, , tag] = token.split('.');
    const json = Buffer.from(header, 'base64url').toString();
    assert.match(json, /^\{"kid":"[0-9a-f-]{36}","alg":"dir","enc":"A256GCM"\}$/);
    assert.deepEqual([key, iv?.length, tag?.length], ['', 16, 22]);
  }
});

test('a grant that fits no token is refused when it is made', async (t) => {
  const tokens = await tokensAt(t, { now: 0 });
  const scattered = Array.from({ length: 2000 }, (_, index) => ({ port: 1 + index * 2 }));
  await assert.rejects(tokens.mint(microvmId, scattered, 5), { code: 'ValidationException' });
  const adjacent = Array.from({ length: 60_000 }, (_, index) => ({ port: 1 + index }));
  assert.equal((await tokens.mint(microvmId, adjacent, 5)).length, 823);
});

test('a token verifies until the minute it expires', async (t) => {
  const time = { now: 1_800_000_000_000 };
  const tokens = await tokensAt(t, time);
  const token = await tokens.mint(microvmId, [{ port: 8080 }], 5);
  const verification = await tokens.verify(token);
  assert.equal(verification.status, 'valid');
  assert.equal(verification.claims.microvmId, microvmId);
  assert.ok(allowsPort(verification.claims, 8080));
  assert.ok(!allowsPort(verification.claims, 8081));
  time.now += 5 * 60_000 - 1;
  assert.equal((await tokens.verify(token)).status, 'valid');
  time.now += 1;
  assert.equal((await tokens.verify(token)).status, 'invalid');
});

test('no single changed character of a token verifies', async (t) => {
  const tokens = await tokensAt(t, { now: 0 });
  const token = await tokens.mint(microvmId, [{ port: 8080 }], 5);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const ends = [...token.matchAll(/.(?=\.|$)/g)].map(({ index }) => index);
  await fc.assert(
    fc.asyncProperty(
      // The last character of a part has bits that mean nothing: they must not be free to choose.
      fc.oneof(fc.constantFrom(...ends), fc.nat({ max: token.length - 1 })),
      fc.constantFrom(...alphabet, '.', '=', ' ', '\0'),
      async (at, character) => {
        fc.pre(token[at] !== character);
        const changed = token.slice(0, at) + character + token.slice(at + 1);
        assert.notEqual((await tokens.verify(changed)).status, 'valid', `character ${at}`);
      },
    ),
    { numRuns: 300 },
  );
});

test('rotation keeps old tokens, revocation ends them at once, and both survive a restart', async (t) => {
  const time = { now: 1_800_000_000_000 };
  const directory = await temporaryDirectory(t);
  const clock = { now: () => time.now };
  const tokens = await openTokens({ directory, clock });
  const first = await tokens.mint(microvmId, [{ port: 1 }], 60);
  await tokens.rotateKey({ revoke: false });
  const second = await tokens.mint(microvmId, [{ port: 1 }], 60);
  assert.notEqual(first.split('.')[0], second.split('.')[0]);
  assert.equal((await tokens.verify(first)).status, 'valid');
  assert.equal((await tokens.verify(second)).status, 'valid');

  const restarted = await openTokens({ directory, clock });
  assert.equal((await restarted.verify(first)).status, 'valid');
  await restarted.rotateKey({ revoke: true });
  assert.equal((await restarted.verify(first)).status, 'invalid');
  assert.equal((await restarted.verify(second)).status, 'invalid');
  const third = await restarted.mint(microvmId, [{ port: 1 }], 60);
  assert.equal((await (await openTokens({ directory, clock })).verify(third)).status, 'valid');
});

test('a retired key is forgotten once none of its tokens can be alive', async (t) => {
  const time = { now: 1_800_000_000_000 };
  const directory = await temporaryDirectory(t);
  const tokens = await openTokens({ directory, clock: { now: () => time.now } });
  await tokens.rotateKey({ revoke: false });
  time.now += 62 * 60_000;
  await tokens.rotateKey({ revoke: false });
  const stored = JSON.parse(await readFile(path.join(directory, 'token-keys.json'), 'utf8'));
  assert.equal(stored.keys.length, 2);
});

test('the key file is readable by its owner alone, and a damaged one is not quoted', async (t) => {
  const directory = await temporaryDirectory(t);
  const clock = { now: () => 0 };
  await openTokens({ directory, clock });
  const file = path.join(directory, 'token-keys.json');
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  await writeFile(file, '{"keys":[{"kid":"x","secret":"c2VjcmV0","retiredAt":null}]}');
  await assert.rejects(openTokens({ directory, clock }), (error: Error) => {
    assert.match(error.message, /damaged/);
    assert.doesNotMatch(error.message, /c2VjcmV0/);
    return true;
  });
});

test('those that send one token at the same time are told in the order in which they came', async (t) => {
  const tokens = await tokensAt(t, { now: 0 });
  const token = await tokens.mint(microvmId, [{ port: 80 }], 5);
  const forged = `${token.slice(0, -1)}${token.endsWith('A') ? 'Q' : 'A'}`;
  for (const [sent, status] of [
    [token, 'valid'],
    [forged, 'invalid'],
  ] as const) {
    const order: number[] = [];
    const came = Array.from({ length: 300 }, (_, index) => index);
    const told = came.map(async (index) => {
      assert.equal((await tokens.verify(sent)).status, status);
      order.push(index);
    });
    await Promise.all(told);
    assert.deepEqual(order, came);
  }
});
