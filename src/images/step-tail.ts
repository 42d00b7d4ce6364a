import { StringDecoder } from 'node:string_decoder';

/** Lines kept of a step's output, and how much of each. */
const keptLines = 6;
const lineCharacters = 300;
/** Longest line that is put together from pieces; what is beyond belongs to nobody's last words. */
const longestLine = 4096;

/** Of what comes at once, only the last lines are looked at, and whether one of those before them begins a step. */
const lookedAt = 64;
const stepsLookedAt = 16;

const stepLine = /^(?:\[\d+\/\d+\] )?STEP (\d+)(?:\/\d+)?: (.*)$/;
/** What the builder itself says of a failure, after the step's own words. */
const builderLine = /^(?:Error|error|time=)|^(?:subprocess )?exited? (?:with|status)/;
/** Control characters, and the sequences that colour a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
const unprintable = /\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The step that a build is at, and the last lines of its output: why a build failed is mostly there. */
export class StepTail {
  readonly #decoder = new StringDecoder('utf8');
  #pending = '';
  #step: string | undefined;
  #lines: string[] = [];
  #builder: string | undefined;

  write(chunk: Uint8Array): void {
    const text = this.#pending + this.#decoder.write(Buffer.from(chunk));
    const end = text.lastIndexOf('\n');
    this.#pending = text.slice(Math.max(end + 1, text.length - longestLine));
    if (end < 0) return;
    const { lines, before } = lastLines(text, end);
    const step = lastStep(text, before);
    if (step !== undefined) this.#take(step);
    for (const line of lines) this.#take(line);
  }

  /** For a person: the step and its last words; undefined before there was any output. */
  describe(): string | undefined {
    if (this.#pending !== '') this.#take(this.#pending);
    this.#pending = '';
    const said = this.#lines.length > 0 ? this.#lines : this.#builder === undefined ? [] : [this.#builder];
    if (this.#step === undefined && said.length === 0) return undefined;
    const head = this.#step === undefined ? 'It ended with' : `Step ${this.#step} failed`;
    return said.length === 0 ? `${head}.` : `${head}: ${said.join(' | ')}`;
  }

  #take(raw: string): void {
    const line = raw.slice(0, longestLine).replace(unprintable, '').trimEnd().slice(0, lineCharacters);
    const [, number, instruction] = stepLine.exec(line) ?? [];
    if (number !== undefined) {
      this.#step = `${number} (${instruction})`;
      this.#lines = [];
      this.#builder = undefined;
    } else if (builderLine.test(line)) {
      this.#builder = line;
    } else if (line.trim() !== '') {
      this.#lines.push(line);
      if (this.#lines.length > keptLines) this.#lines.shift();
    }
  }
}

/** The last lines before `end`, the end of a line, and the end of the line before them; negative where there is none. */
function lastLines(
  text: string,
  end: number,
): { readonly lines: readonly string[]; readonly before: number } {
  const lines: string[] = [];
  let before = end;
  while (before >= 0 && lines.length < lookedAt) {
    const start = startOfLine(text, before);
    lines.unshift(text.slice(start, before));
    before = start - 1;
  }
  return { lines, before };
}

/** The last line up to `end` that begins a step. */
function lastStep(text: string, end: number): string | undefined {
  let at = end;
  for (let looked = 0; looked < stepsLookedAt && at > 0; looked += 1) {
    at = text.lastIndexOf('STEP ', at - 1);
    if (at < 0) return undefined;
    const start = startOfLine(text, at);
    const line = text.slice(start, Math.min(text.indexOf('\n', at), start + longestLine));
    if (stepLine.test(line)) return line;
    at = start;
  }
  return undefined;
}

function startOfLine(text: string, at: number): number {
  return at === 0 ? 0 : text.lastIndexOf('\n', at - 1) + 1;
}
