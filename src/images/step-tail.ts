/** Lines kept of a step's output, and how much of each. */
const keptLines = 6;
const lineCharacters = 200;
/** Longest line that is put together from pieces; what is beyond belongs to nobody's last words. */
const longestLine = 4096;

const stepLine = /^(?:\[\d+\/\d+\] )?STEP (\d+)(?:\/\d+)?: (.*)$/;
/** What the builder itself says of a failure, after the step's own words. */
const builderLine = /^(?:Error|error|time=)|^(?:subprocess )?exited? (?:with|status)/;
/** Control characters, and the sequences that colour a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
const unprintable = /\u001b\[[0-9;?]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** The step that a build is at, and the last lines of its output: why a build failed is mostly there. */
export class StepTail {
  #pending = '';
  #step: string | undefined;
  #lines: string[] = [];
  #builder: string | undefined;

  write(chunk: Uint8Array): void {
    const lines = (this.#pending + Buffer.from(chunk).toString('utf8')).split('\n');
    this.#pending = (lines.pop() ?? '').slice(-longestLine);
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
    const line = raw.replace(unprintable, '').trimEnd().slice(0, lineCharacters);
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
