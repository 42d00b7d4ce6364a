import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { CliError } from './errors.ts';

/**
 * What is in a file, or on standard input for `-`.
 * @param what what it is, for the message when it cannot be read
 * @throws {CliError}
 */
export async function readText(file: string, what: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw new CliError(`The ${what} ${file} cannot be read.`, undefined, error);
  }
}
