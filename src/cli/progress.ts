const patienceMs = 2000;
const frameMs = 120;
const frames = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;

/**
 * A line on standard error that says what is waited for; only on a terminal, and only when it takes longer
 * than two seconds. Lines of output that come meanwhile go through {@link Progress.interrupt}.
 */
export class Progress {
  #text: string;
  #timer: NodeJS.Timeout | undefined;
  #frame = 0;
  #shown = false;
  readonly #startedAt = Date.now();
  readonly #stream: NodeJS.WriteStream;

  constructor(text: string, stream: NodeJS.WriteStream = process.stderr) {
    this.#text = text;
    this.#stream = stream;
    if (!stream.isTTY) return;
    this.#timer = setInterval(() => this.#draw(), frameMs);
    this.#timer.unref();
  }

  set text(text: string) {
    this.#text = text;
  }

  /** Lets something else write a whole line. */
  interrupt(write: () => void): void {
    this.#erase();
    write();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #draw(): void {
    const elapsed = Date.now() - this.#startedAt;
    if (elapsed < patienceMs) return;
    this.#frame = (this.#frame + 1) % frames.length;
    const line = `${frames[this.#frame]} ${this.#text} ${Math.floor(elapsed / 1000)}s`;
    this.#stream.write(`\r\u001b[2K${line.slice(0, this.#stream.columns - 1)}`);
    this.#shown = true;
  }

  #erase(): void {
    if (this.#shown) this.#stream.write('\r\u001b[2K');
    this.#shown = false;
  }
}

/** Runs `work` under a {@link Progress} line. */
export async function withProgress<Result>(
  text: string,
  work: (progress: Progress) => Promise<Result>,
): Promise<Result> {
  const progress = new Progress(text);
  try {
    return await work(progress);
  } finally {
    progress.end();
  }
}
