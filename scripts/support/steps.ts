import { styleText } from 'node:util';

interface Step {
  readonly name: string;
  readonly durationMs: number;
  readonly outcome: string;
}

/** Times named steps and tells of them: a line for each, or one JSON object at the end. */
export class Steps {
  /** VMM and accelerator that were measured. */
  accelerator = 'unknown';
  readonly #json: boolean;
  readonly #steps: Step[] = [];
  readonly #startedAt = performance.now();
  #current = '';

  constructor(json: boolean) {
    this.#json = json;
  }

  /** @param work resolves with its result and, for people, what came out */
  async do<Result>(name: string, work: () => Promise<readonly [Result, string]>): Promise<Result> {
    this.#current = name;
    const startedAt = performance.now();
    const [result, outcome] = await work();
    const durationMs = Math.round(performance.now() - startedAt);
    this.#steps.push({ name, durationMs, outcome });
    if (!this.#json) {
      const number = styleText('dim', String(this.#steps.length).padStart(2));
      console.log(`${number}  ${name.padEnd(36)} ${seconds(durationMs).padStart(9)}  ${outcome}`);
    }
    return result;
  }

  /** A line of what goes on inside a step. */
  detail(line: string): void {
    console.error(styleText('dim', `    ${line}`, { stream: process.stderr }));
  }

  end(): void {
    const totalMs = Math.round(performance.now() - this.#startedAt);
    if (this.#json) {
      console.log(JSON.stringify({ accelerator: this.accelerator, totalMs, steps: this.#steps }, null, 2));
    } else {
      console.log(
        `\n${styleText('green', 'All of it holds.')} ${seconds(totalMs)} in all, on ${this.accelerator}.`,
      );
    }
  }

  fail(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    console.error(
      `\n${styleText('red', 'failed', { stream: process.stderr })}: ${this.#current}\n${message}`,
    );
  }
}

function seconds(milliseconds: number): string {
  return milliseconds < 1000 ? `${milliseconds} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}
