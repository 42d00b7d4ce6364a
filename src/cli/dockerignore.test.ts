import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IgnoreRules } from './dockerignore.ts';

const cases: readonly [rules: string, ignored: readonly string[], kept: readonly string[]][] = [
  ['', [], ['a', '.git/config']],
  ['# comment\n\n.git', ['.git', '.git/config'], ['a/.git', '.gitignore']],
  ['*.md', ['a.md'], ['docs/a.md', 'a.mdx']],
  ['**/*.md', ['a.md', 'docs/a.md', 'x/y/z.md'], ['a.txt']],
  ['*.md\n!README.md', ['a.md'], ['README.md']],
  ['!README.md\n*.md', ['README.md'], []],
  ['/build/', ['build', 'build/x'], ['src/build']],
  ['./tmp', ['tmp/a'], ['a/tmp']],
  ['temp?', ['temp1', 'temps/x'], ['temp', 'temp12', 'temp/']],
  ['*/temp*', ['a/temp', 'a/temporary.txt'], ['temp', 'a/b/temp']],
  ['file[0-9].txt', ['file1.txt'], ['filea.txt', 'file10.txt']],
  ['a.b', ['a.b'], ['axb']],
  ['docs/**/draft', ['docs/draft', 'docs/a/b/draft/x'], ['draft']],
  ['a+(b)', ['a+(b)'], ['aab']],
];

for (const [rules, ignored, kept] of cases) {
  test(`.dockerignore ${JSON.stringify(rules)}`, () => {
    const parsed = new IgnoreRules(rules);
    for (const path of ignored) assert.ok(parsed.ignores(path), `${path} should be ignored`);
    for (const path of kept) assert.ok(!parsed.ignores(path), `${path} should be kept`);
  });
}
