import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { compatibilityFile, compatibilityText } from '../scripts/support/compatibility/document.ts';
import { findMarks } from '../scripts/support/compatibility/marks.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

test('docs/compatibility.md says what the server does; otherwise run node scripts/compatibility.ts', async () => {
  assert.equal(await readFile(compatibilityFile, 'utf8'), await compatibilityText());
});

test('no table is empty, and no cell is undefined', async () => {
  const lines = (await compatibilityText()).split('\n');
  for (const [index, line] of lines.entries()) {
    assert.doesNotMatch(line, /\bundefined\b/);
    if (/^(\| --- )+\|$/.test(line)) assert.match(lines[index + 1] ?? '', /^\| /, `${lines[index - 1]}`);
  }
  assert.ok(lines.includes('| `ResourceNotFoundException` | 404 |'));
});

test('every choice marked as unrecorded is in the list, with what it is about', async () => {
  const marks = await findMarks(root);
  const document = await readFile(compatibilityFile, 'utf8');
  assert.ok(marks.length > 20);
  for (const { file, place, comment } of marks) {
    assert.match(place, /^\w+$/, `${file}: ${comment}`);
    assert.ok(document.includes(`\`${place}\``), place);
  }
});
