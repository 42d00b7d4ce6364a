import { execFile } from 'node:child_process';
import path from 'node:path';
import { DifferenceCorruptError, VmmError } from '../vmm.ts';

/** The helper's exit code for a file that is not what it should be. */
const exitCorrupt = 3;

/**
 * Runs a helper program and resolves with its output.
 * @throws {DifferenceCorruptError} a file is not what it should be
 */
export function runHelper(helper: string, args: readonly string[], timeoutMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      helper,
      args,
      { timeout: timeoutMs, killSignal: 'SIGKILL', env: {} },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const reason = stderr.trim() || error.message;
        reject(
          error.code === exitCorrupt
            ? new DifferenceCorruptError(reason)
            : new VmmError(`${path.basename(helper)}: ${reason}`, { cause: error }),
        );
      },
    );
  });
}

const transferTimeoutMs = 120_000;
const checksumTimeoutMs = 600_000;

/** Stores what the paused VMM `pid` changed of the privately mapped `memory` into the new file `output`, durably. */
export async function saveMemoryDifference(
  helper: string,
  pid: number,
  memory: string,
  output: string,
): Promise<void> {
  await runHelper(helper, ['save', String(pid), memory, output], transferTimeoutMs);
}

/**
 * Writes a stored difference into the RAM of the VMM `pid`, whose virtual CPUs must be stopped.
 * @throws {DifferenceCorruptError} the file is damaged; nothing was written
 */
export async function applyMemoryDifference(
  helper: string,
  pid: number,
  memory: string,
  input: string,
): Promise<void> {
  await runHelper(helper, ['apply', String(pid), memory, input], transferTimeoutMs);
}

/** CRC-32C of each file's content, independent of which parts of it are holes. */
export async function checksumFiles(helper: string, files: readonly string[]): Promise<string[]> {
  const output = await runHelper(helper, ['checksum', ...files], checksumTimeoutMs);
  return output
    .trim()
    .split('\n')
    .map((sum) => `crc32c:${sum}`);
}
