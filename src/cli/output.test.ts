import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters, styleText } from 'node:util';
import { age, bytes, harmless, table } from './output.ts';

test('columns line up, styles have no width', () => {
  const red = styleText('red', 'FAILED', { validateStream: false });
  const lines = stripVTControlCharacters(
    table(
      ['NAME', 'STATE', 'AGE'],
      [
        ['a', red, '1s'],
        ['longer', 'OK', '2s'],
      ],
    ),
  );
  assert.equal(lines, 'NAME    STATE   AGE\na       FAILED  1s\nlonger  OK      2s');
});

test('sizes', () => {
  assert.deepEqual([0, 1023, 1024, 1536, 200 * 2 ** 20, 5 * 2 ** 30, null, undefined].map(bytes), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '200 MiB',
    '5.0 GiB',
    '-',
    '-',
  ]);
});

test('ages', () => {
  const now = Date.now();
  const ages = [5, 119, 120, 7200, 200_000].map((seconds) => age(new Date(now - seconds * 1000), now));
  assert.deepEqual(ages, ['5s', '119s', '2m', '2h', '2d']);
  assert.equal(age(undefined), '-');
});

test('text from a guest cannot steer the terminal', () => {
  assert.equal(harmless('a\u001b[2Jb\u001b]0;title\u0007c\rd\te\u0000\u009b31m'), 'abcd\te');
});
