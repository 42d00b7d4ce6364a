import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { run } from './cli.ts';

const patienceMs = 60_000;

/** A program on a terminal of this machine, with somebody at its keyboard. */
export class Terminal {
  readonly #child: ChildProcess;
  readonly #device: string;
  readonly #exited: Promise<number | null>;
  /** What was shown and not looked at yet, without carriage returns. */
  shown = '';

  private constructor(child: ChildProcess, device: string) {
    this.#child = child;
    this.#device = device;
    this.#exited = once(child, 'exit').then(([code]) => code as number | null);
    // Terminals at either end of a connection add carriage returns as they please.
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.shown += chunk.replaceAll('\r', '');
    });
  }

  /**
   * Starts a command line of the shell on a terminal of its own.
   * @param size columns and rows; without it the terminal does not know its size
   * @param deviceFile where the name of the terminal is noted
   */
  static async start(
    commandLine: string,
    size: readonly [number, number] | undefined,
    deviceFile: string,
  ): Promise<Terminal> {
    const sizing = size === undefined ? '' : `stty cols ${size[0]} rows ${size[1]};`;
    const script = `${sizing} tty > ${deviceFile}; echo ready; exec ${commandLine}`;
    const child = spawn('script', ['--quiet', '--flush', '--return', '--command', script, '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const { stdout } = child;
    let beginning = '';
    while (!beginning.includes('ready')) beginning += String((await once(stdout, 'data'))[0]);
    return new Terminal(child, (await readFile(deviceFile, 'utf8')).trim());
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /**
   * Waits until the text is shown after what was looked at before.
   * @throws the program ended, or shows something else
   */
  async shows(pattern: RegExp): Promise<void> {
    const tired = AbortSignal.timeout(patienceMs);
    for (;;) {
      const found = pattern.exec(this.shown);
      if (found !== null) {
        this.shown = this.shown.slice(found.index + found[0].length);
        return;
      }
      if (this.#child.stdout === null) throw new Error('no output');
      const more = once(this.#child.stdout, 'data', { signal: tired }).then(() => true);
      const ended = this.#exited.then(() => false);
      if (!(await Promise.race([more.catch(() => false), ended]))) {
        throw new Error(`waited for ${pattern} in vain: ${JSON.stringify(this.shown)}`);
      }
    }
  }

  /** Waits until the program ends by itself; resolves with its exit status. */
  async ends(): Promise<number | null> {
    const late = delay(patienceMs, 'late' as const, { ref: false });
    const status = await Promise.race([this.#exited, late]);
    if (status === 'late') throw new Error(`it goes on: ${JSON.stringify(this.shown)}`);
    return status;
  }

  /** What pulling at the window's corner does. */
  async resize(columns: number, rows: number): Promise<void> {
    await run('stty', ['-F', this.#device, 'cols', String(columns), 'rows', String(rows)]);
  }

  /** The window is closed: no time for anybody to say goodbye. */
  kill(): void {
    this.#child.kill('SIGKILL');
  }
}
