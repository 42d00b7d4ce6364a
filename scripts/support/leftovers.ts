import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { removeDirectory } from './remove-directory.ts';

/** Ids of the processes that work in `directory` or have it on their command line, ourselves excluded. */
export async function processesIn(directory: string): Promise<readonly number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const commandLine = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    const workingDirectory = await readlink(`/proc/${entry}/cwd`).catch(() => '');
    if (commandLine.includes(directory) || isBelow(workingDirectory, directory)) found.push(Number(entry));
  }
  return found;
}

/** Mount points below `directory`, the innermost first. */
export async function mountsIn(directory: string): Promise<readonly string[]> {
  const lines = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n');
  return lines
    .map((line) => line.split(' ')[4] ?? '')
    .filter((mount) => isBelow(mount, directory))
    .sort((a, b) => b.length - a.length);
}

/** Ends and removes whatever there is of a run, however it ended. */
export async function removeEverything(directory: string): Promise<void> {
  for (const pid of await processesIn(directory)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
  for (const mount of await mountsIn(directory)) await promisify(execFile)('umount', ['--lazy', mount]);
  await removeDirectory(directory);
}

export async function isRunning(pid: number): Promise<boolean> {
  // A process that has ended but was not waited for is not running.
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return status !== undefined && !/\) [ZX] /.test(status);
}

function isBelow(candidate: string, directory: string): boolean {
  return candidate === directory || candidate.startsWith(`${directory}/`);
}
