import { containerBuildFailed } from '../build-failure.ts';

/** One instruction of a Dockerfile, its lines joined. */
export interface Instruction {
  /** In upper case. */
  readonly keyword: string;
  /** `--name` and `--name=value` before its arguments. */
  readonly flags: readonly Flag[];
  /** What follows the flags. */
  readonly rest: string;
  /** Lines of its here-documents with the lines that end them; empty without. */
  readonly documents: readonly string[];
  /** Where it begins, from 1. */
  readonly line: number;
}

export interface Flag {
  readonly name: string;
  readonly value: string | undefined;
}

export interface Dockerfile {
  readonly escaper: '\\' | '`';
  readonly instructions: readonly Instruction[];
}

const keywords: ReadonlySet<string> = new Set([
  ...['ADD', 'ARG', 'CMD', 'COPY', 'ENTRYPOINT', 'ENV', 'EXPOSE', 'FROM', 'HEALTHCHECK', 'LABEL'],
  ...['MAINTAINER', 'ONBUILD', 'RUN', 'SHELL', 'STOPSIGNAL', 'USER', 'VOLUME', 'WORKDIR'],
]);
const withFlags: ReadonlySet<string> = new Set(['ADD', 'COPY', 'FROM', 'HEALTHCHECK', 'RUN']);
const withDocuments: ReadonlySet<string> = new Set(['ADD', 'COPY', 'RUN']);
const directive = /^#\s*([a-z]+)\s*=\s*(\S+)\s*$/i;
/** A quoted text, or the beginning of a here-document, or any character. */
const shellPart = /"(?:\\.|[^"\\])*"|'[^']*'|(?<=^|\s)\d*<<(-?)(["']?)([A-Za-z_]\w*)\2(?=\s|$)|./gs;

/**
 * Reads a Dockerfile into its instructions: comments left out, continued lines joined, here-documents with the
 * instruction that they belong to.
 * @throws {BuildFailure} CONTAINER_BUILD_FAILED, naming the line
 */
export function readDockerfile(text: string): Dockerfile {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split('\n')
    .map((line) => line.replace(/\r$/, ''));
  const escaper = readEscape(lines);
  const instructions: Instruction[] = [];
  for (let at = 0; at < lines.length; ) {
    const first = at;
    const joined = joinLines(lines, at, escaper);
    at = joined.next;
    if (joined.text === '') continue;
    const instruction = readInstruction(joined.text, first + 1);
    const documents = readDocuments(instruction, lines, at);
    at += documents.length;
    instructions.push({ ...instruction, documents });
  }
  return { escaper, instructions };
}

/** The same meaning on as few lines as there are instructions, so that no reader can take it for another. */
export function writeDockerfile({ escaper, instructions }: Dockerfile): string {
  const lines = instructions.flatMap((instruction) => [
    writeInstruction(instruction),
    ...instruction.documents,
  ]);
  return `${[`# escape=${escaper}`, ...lines].join('\n')}\n`;
}

export function writeInstruction({ keyword, flags, rest }: Omit<Instruction, 'documents' | 'line'>): string {
  const words = flags.map(({ name, value }) => (value === undefined ? `--${name}` : `--${name}=${value}`));
  return [keyword, ...words, rest].join(' ').trimEnd();
}

/** @throws {BuildFailure} there is no such instruction */
export function readInstruction(text: string, line: number): Instruction {
  const [, word = '', after = ''] = /^(\S+)\s*(.*)$/s.exec(text) ?? [];
  const keyword = word.toUpperCase();
  if (!keywords.has(keyword)) {
    throw dockerfileError(line, `Unknown instruction: ${JSON.stringify(word.slice(0, 40))}`);
  }
  const flags: Flag[] = [];
  let rest = after.trim();
  while (withFlags.has(keyword)) {
    const [whole, name, value] = /^--([a-z-]+)(?:=(\S*))?(?:\s+|$)/.exec(rest) ?? [];
    if (whole === undefined || name === undefined) break;
    flags.push({ name, value });
    rest = rest.slice(whole.length);
  }
  return { keyword, flags, rest, documents: [], line };
}

export function dockerfileError(line: number, detail: string) {
  return containerBuildFailed(`Line ${line} of the Dockerfile: ${detail}`);
}

/** Directives count only before anything else. */
function readEscape(lines: readonly string[]): Dockerfile['escaper'] {
  for (const line of lines) {
    const [, name, value] = directive.exec(line) ?? [];
    if (name === undefined) return '\\';
    if (name.toLowerCase() === 'escape' && value === '`') return '`';
  }
  return '\\';
}

function joinLines(
  lines: readonly string[],
  from: number,
  escaper: Dockerfile['escaper'],
): { readonly text: string; readonly next: number } {
  const continued = escaper === '`' ? /`[ \t]*$/ : /\\[ \t]*$/;
  let text = '';
  let next = from;
  for (; next < lines.length; next += 1) {
    const line = lines[next] ?? '';
    // Comments and empty lines do not end what is continued.
    if (/^\s*(?:#|$)/.test(line)) {
      if (text === '') return { text, next: next + 1 };
      continue;
    }
    if (!continued.test(line)) {
      text += line;
      next += 1;
      break;
    }
    text += line.replace(continued, '');
  }
  const joined = text.trim();
  if (continued.test(joined)) throw dockerfileError(from + 1, `It ends with ${escaper}.`);
  return { text: joined, next };
}

function readDocuments(instruction: Instruction, lines: readonly string[], from: number): readonly string[] {
  const ends = documentEnds(instruction);
  let at = from;
  for (const { word, tabs } of ends) {
    const isEnd = (line: string): boolean => (tabs ? line.replace(/^\t+/, '') : line) === word;
    while (at < lines.length && !isEnd(lines[at] ?? '')) at += 1;
    if (at === lines.length) throw dockerfileError(instruction.line, `Its <<${word} has no end.`);
    at += 1;
  }
  return lines.slice(from, at);
}

function documentEnds({
  keyword,
  rest,
}: Instruction): readonly { readonly word: string; readonly tabs: boolean }[] {
  if (!withDocuments.has(keyword)) return [];
  return [...rest.matchAll(shellPart)].flatMap(([, dash, , word]) =>
    word === undefined ? [] : [{ word, tabs: dash === '-' }],
  );
}
