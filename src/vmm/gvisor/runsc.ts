import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { VmmError } from '../vmm.ts';
import { sandboxFiles } from './vm-files.ts';

const commandTimeoutMs = 120_000;

export interface RunscOptions {
  /** runsc, absolute. */
  readonly binary: string;
  /** Whether sandboxes get control groups. */
  readonly groups: boolean;
}

/** Name of the sandbox in `directory`, which is unique on this machine. */
export function sandboxId(directory: string): string {
  return createHash('sha256').update(path.resolve(directory)).digest('hex').slice(0, 20);
}

/** What every command about a sandbox has to say alike. */
export function globalOptions(options: RunscOptions, directory: string): string[] {
  return [
    ...['--root', path.join(directory, sandboxFiles.state)],
    '--platform=systrap',
    // Loopback only: what leaves the guest goes through its agent.
    '--network=none',
    '--net-raw',
    '--allow-suid',
    // The root's path is another in each place; that it holds the same is checked by its checksum.
    '--restore-spec-validation=ignore',
    ...(options.groups ? ['--cpu-num-from-quota'] : ['--ignore-cgroups']),
  ];
}

/** Stores what a sandbox is in the new directory `image`; it goes on. @throws {VmmError} */
export async function checkpoint(options: RunscOptions, directory: string, image: string): Promise<void> {
  const how = ['--leave-running', '--compression=none', '--exclude-committed-zero-pages'];
  await runsc(options, directory, ['checkpoint', ...how, '--image-path', image, sandboxId(directory)]);
}

async function runsc(options: RunscOptions, directory: string, args: readonly string[]): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  execFile(
    options.binary,
    [...globalOptions(options, directory), ...args],
    { timeout: commandTimeoutMs, killSignal: 'SIGKILL', env: {}, cwd: '/' },
    (error, _stdout, stderr) => {
      if (error === null) return resolve();
      const reason = stderr.trim().split('\n').at(-1) || error.message;
      reject(new VmmError(`runsc ${args[0]}: ${reason}`, { cause: error }));
    },
  );
  await promise;
}
