import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { createPageTokens, pageOf, paginate } from './page-token.ts';

const tokens = createPageTokens(randomBytes(32));
const scope = { operation: 'ListMicrovms', filter: { imageArn: 'a', imageVersion: undefined } };

test('gives a position back to the same list only', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (position) => {
      const token = tokens.seal(position, scope);
      assert.match(token, /^[A-Za-z0-9_-]+$/);
      assert.equal(tokens.open(token, scope), position);
      for (const other of [
        { ...scope, operation: 'ListMicrovmImages' },
        { ...scope, filter: { imageArn: 'b', imageVersion: undefined } },
        { ...scope, filter: {} },
      ]) {
        assert.throws(() => tokens.open(token, other), { code: 'ValidationException' });
      }
    }),
  );
});

test('refuses every changed token', () => {
  const token = tokens.seal('microvm-1', scope);
  const bytes = Buffer.from(token, 'base64url');
  for (let index = 0; index < bytes.length; index += 1) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
    assert.throws(() => tokens.open(changed.toString('base64url'), scope), { code: 'ValidationException' });
  }
  for (const text of ['', 'x', token.slice(0, -4), `${token}AAAA`, 'A'.repeat(100_000)]) {
    assert.throws(() => tokens.open(text, scope), { code: 'ValidationException' });
  }
  assert.throws(() => createPageTokens(randomBytes(32)).open(token, scope), { code: 'ValidationException' });
});

test('pages show every item once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.string()),
      fc.integer({ min: 1, max: 50 }),
      async (items, maxResults) => {
        const seen: string[] = [];
        let nextToken: string | null = null;
        do {
          const page: { nextToken: string | null; items: string[] } = await paginate(
            tokens,
            scope,
            { maxResults, ...(nextToken === null ? {} : { nextToken }) },
            async (request) => pageOf(items, (item) => item, request),
            (item) => item,
          );
          assert.ok(page.items.length <= maxResults);
          seen.push(...page.items);
          nextToken = page.nextToken;
        } while (nextToken !== null);
        assert.deepEqual(seen, items);
      },
    ),
  );
});
