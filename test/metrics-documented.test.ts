import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Names of the metrics that the source declares. */
async function declared(): Promise<ReadonlySet<string>> {
  const names = new Set<string>();
  for await (const file of glob('src/**/*.ts', { cwd: root })) {
    if (/test\.ts$/.test(file)) continue;
    const text = await readFile(path.join(root, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/metrics\.(?:count|duration|reading|total)\(\s*'(\w+)'/g)) {
      names.add(`dormouse_${name}`);
    }
  }
  return names;
}

test('docs/operations.md has every metric in its table, and none that is not', async () => {
  const text = await readFile(path.join(root, 'docs', 'operations.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `dormouse_'));
  const documented = rows.flatMap((row) =>
    [...row.matchAll(/`(dormouse_\w+)`/g)].map(([, name = '']) => name),
  );
  assert.ok(documented.length > 20);
  assert.deepEqual([...documented].sort(), [...(await declared())].sort());
});
