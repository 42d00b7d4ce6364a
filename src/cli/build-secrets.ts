import { readFile } from 'node:fs/promises';
import type { SecretSource } from './arguments.ts';
import { CliError } from './errors.ts';

/**
 * Contents of the secrets of a build, by their ids.
 * @throws {CliError} a file cannot be read, a variable is not set, or one is larger than builders take
 */
export async function readSecrets(
  sources: readonly SecretSource[],
): Promise<Readonly<Record<string, Uint8Array>>> {
  const contents = sources.map(async (source) => {
    const content = await readSecret(source);
    if (content.length > largestBytes) {
      throw new CliError(`The secret ${source.id} is larger than ${largestBytes / 1024} KiB.`);
    }
    return [source.id, content] as const;
  });
  return Object.fromEntries(await Promise.all(contents));
}

const largestBytes = 512 * 1024;

async function readSecret(source: SecretSource): Promise<Uint8Array> {
  if ('variable' in source) {
    const value = process.env[source.variable];
    if (value === undefined) throw new CliError(`There is no variable ${source.variable} for --secret.`);
    return Buffer.from(value);
  }
  return await readFile(source.file).catch((error: Error) => {
    throw new CliError(`Cannot read the secret ${source.id}: ${error.message}`);
  });
}
