import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The command line. */
export const program = fileURLToPath(new URL('../../bin/dormouse', import.meta.url));

/** What the command line has to know of a server. */
export interface ServerOfCli {
  readonly ready: { readonly dataDirectory: string };
}

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs any program to its end. */
export async function run(file: string, words: readonly string[], input = ''): Promise<Outcome> {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const child = execFile(file, words, { timeout: 120_000 }, (error, stdout, stderr) => {
    const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
    resolve({ code, stdout, stderr });
  });
  // A program may end without having read what it was given.
  child.stdin?.on('error', () => undefined).end(input);
  return await promise;
}

/** Runs the command line against a server. */
export async function dormouse(
  server: ServerOfCli,
  words: readonly string[],
  input?: string,
): Promise<Outcome> {
  const [command = '', ...rest] = words;
  return await run(program, [command, '--data-dir', server.ready.dataDirectory, ...rest], input);
}

/** A command that goes on until it is interrupted, once it has printed its first line. */
export interface Going {
  readonly firstLine: string;
  /** Its exit status, once it has one; null when a signal ended it. */
  readonly exited: Promise<number | null>;
  /** Interrupts it; resolves with its exit status. */
  interrupt(): Promise<number | null>;
}

export async function goingDormouse(server: ServerOfCli, words: readonly string[]): Promise<Going> {
  const [command = '', ...rest] = words;
  const child: ChildProcess = spawn(program, [command, '--data-dir', server.ready.dataDirectory, ...rest], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  if (child.stdout === null) throw new Error('the command has no standard output');
  const lines = createInterface({ input: child.stdout });
  const [firstLine] = await Promise.race([
    once(lines, 'line') as Promise<[string]>,
    exited.then(([code]): never => {
      throw new Error(`dormouse ${words.join(' ')} ended with ${code}`);
    }),
  ]);
  return {
    firstLine,
    exited: exited.then(([code]) => code),
    async interrupt() {
      child.kill('SIGINT');
      return (await exited)[0];
    },
  };
}
