/** `node:child_process` as a simulated server sees it: see register.ts. A program outlives the server that started it. */
import * as real from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { CrashedError, ServerProcess } from '../server-process.ts';

export * from 'node:child_process';

const run = promisify(real.execFile);
/** Stands for a program that the system cannot start. */
const missing = '/nonexistent/program';

export function spawn(
  command: string,
  parameters: readonly string[],
  options: real.SpawnOptions,
): real.ChildProcess {
  const server = ServerProcess.current;
  const start = (program: string): real.ChildProcess => real.spawn(program, parameters, options);
  if (server === undefined) return start(command);
  const step = { name: `spawn ${path.basename(command)}`, effect: true, mayFail: true };
  let started = false;
  try {
    return server.stepSync(
      step,
      () => {
        started = true;
        return start(command);
      },
      (code) => new Error(code),
      // The harder half: the process was started, and the server gone before it could note that.
      () => start(command).unref(),
    );
  } catch (error) {
    if (started) throw error;
    if (!(error instanceof CrashedError)) return start(missing);
    throw error;
  }
}

type Callback = (error: real.ExecFileException | null, stdout: string, stderr: string) => void;

export function execFile(
  file: string,
  parameters: readonly string[],
  options: real.ExecFileOptions,
  callback: Callback,
): void {
  execFilePromised(file, parameters, options).then(
    ({ stdout, stderr }) => callback(null, stdout, stderr),
    (error: real.ExecFileException) =>
      callback(error, String(error.stdout ?? ''), String(error.stderr ?? '')),
  );
}

async function execFilePromised(
  file: string,
  parameters: readonly string[],
  options: real.ExecFileOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  const start = async (): Promise<{ stdout: string; stderr: string }> => {
    const { stdout, stderr } = await run(file, parameters, options);
    return { stdout: String(stdout), stderr: String(stderr) };
  };
  const server = ServerProcess.current;
  if (server === undefined) return await start();
  const name = server.shorten(`exec ${path.basename(file)} ${parameters[0] ?? ''}`);
  return await server.step(
    { name, effect: true, mayFail: true },
    () => durably(server, parameters, start),
    true,
  );
}

/** The helper syncs what it writes before it ends: see memory-difference.test.ts. */
async function durably<Result>(
  server: ServerProcess,
  [command, , , output]: readonly string[],
  start: () => Promise<Result>,
): Promise<Result> {
  const result = await start();
  if (command === 'save' && output !== undefined) server.disk?.syncing(output)();
  return result;
}

Object.defineProperty(execFile, promisify.custom, { value: execFilePromised });
