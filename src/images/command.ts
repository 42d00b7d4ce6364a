import { spawn } from 'node:child_process';
import { OutputReader } from './output-reader.ts';

/** Characters kept of a command's standard output (from its start) and standard error (its end). */
const keptOutput = 4 * 1024 * 1024;
const keptErrors = 64 * 1024;

export interface CommandOptions {
  readonly environment: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  /** Everything the command says, as it says it; one that says very much is slowed down. */
  readonly onOutput?: ((source: 'stdout' | 'stderr', chunk: Buffer) => void) | undefined;
}

export interface CommandResult {
  /** Exit code; null when a signal ended the program. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs a program in a process group of its own and waits until it, and whatever holds its output open, is
 * done. Aborting kills the group.
 * @throws the signal's reason when aborted, or why the program could not be started
 */
export async function runCommand(argv: readonly string[], options: CommandOptions): Promise<CommandResult> {
  options.signal.throwIfAborted();
  const [program, ...rest] = argv;
  if (program === undefined) throw new TypeError('no program to run');
  const child = spawn(program, rest, {
    env: { ...options.environment },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.on('error', reject);
  child.on('close', resolve);
  let stdout = '';
  let stderr = '';
  const output = new OutputReader();
  output.read(child.stdout, (chunk) => {
    if (stdout.length < keptOutput) stdout += chunk.toString('utf8');
    options.onOutput?.('stdout', chunk);
  });
  output.read(child.stderr, (chunk) => {
    stderr = (stderr + chunk.toString('utf8')).slice(-keptErrors);
    options.onOutput?.('stderr', chunk);
  });
  const kill = (): void => {
    if (child.pid !== undefined) killGroup(child.pid);
  };
  options.signal.addEventListener('abort', kill, { once: true });
  try {
    const code = await promise;
    options.signal.throwIfAborted();
    return { code, stdout, stderr };
  } finally {
    options.signal.removeEventListener('abort', kill);
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}
