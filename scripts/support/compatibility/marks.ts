import { glob, readFile } from 'node:fs/promises';
import path from 'node:path';

/** A place in the source where nobody has recorded what the service does, so the choice is ours. */
export interface Mark {
  readonly file: string;
  /** What the code there is called, or what it says. */
  readonly place: string;
  readonly comment: string;
}

const comment = /\/\*\*[\s\S]*?\*\/|(?:^[ \t]*\/\/.*\n?)+/gm;

/** Every comment below `src/` that has the word `unrecorded`, sorted by place. */
export async function findMarks(root: string): Promise<readonly Mark[]> {
  const files = await Array.fromAsync(glob('src/**/*.ts', { cwd: root }));
  const marks: Mark[] = [];
  for (const file of files.filter((name) => !name.endsWith('.test.ts')).sort()) {
    const text = await readFile(path.join(root, file), 'utf8');
    for (const match of text.matchAll(comment)) {
      if (!/\bunrecorded\b/i.test(match[0])) continue;
      const following = text.slice(match.index + match[0].length).trimStart();
      // A comment at the head of a file explains the word instead of using it.
      if (match.index === 0) continue;
      marks.push({ file, place: placeOf(following), comment: textOf(match[0]) });
    }
  }
  return marks;
}

function placeOf(code: string): string {
  const [line = ''] = code.split('\n', 1);
  const declared = /(?:function|const|class|interface|type)\s+(\w+)/.exec(line)?.[1];
  return declared ?? /^(\w+)/.exec(line)?.[1] ?? line;
}

function textOf(raw: string): string {
  return raw
    .replaceAll(/^\s*(?:\/\*\*|\*\/|\*|\/\/)[ \t]?/gm, '')
    .replace('*/', '')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
