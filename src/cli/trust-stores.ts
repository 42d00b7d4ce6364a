import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { CliError } from './errors.ts';

const run = promisify(execFile);

const systemDirectory = '/usr/local/share/ca-certificates';
const rootHint = 'Call it with sudo, and with the --data-dir of the server that is meant.';

/** A certificate authority, and where it may be trusted. */
export class TrustedAuthority {
  readonly #pem: string;
  /** What stores know it by: no two authorities share it. */
  readonly #name: string;

  /** @throws {CliError} it is no authority */
  constructor(pem: string) {
    const certificate = new X509Certificate(pem);
    if (!certificate.ca) {
      throw new CliError(
        'The endpoints have a certificate that the server was given: trust whoever signed that.',
      );
    }
    this.#pem = certificate.toString();
    const fingerprint = certificate.fingerprint256.replaceAll(':', '').toLowerCase();
    this.#name = `dormouse-${fingerprint.slice(0, 16)}`;
  }

  /**
   * Adds it to, or removes it from, what Chromium and Firefox of a user trust.
   * @returns the directories of the stores
   */
  async inBrowsers(trusted: boolean, home: string): Promise<readonly string[]> {
    const stores = await browserStores(home, trusted);
    const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-trust-'));
    try {
      const file = path.join(directory, 'ca.pem');
      await writeFile(file, this.#pem);
      for (const store of stores) {
        // Adding it twice would leave it there twice.
        await certutil(store, '-D', '-n', this.#name).catch(ignoreAbsence);
        if (trusted) await certutil(store, '-A', '-t', 'C,,', '-n', this.#name, '-i', file);
      }
    } finally {
      await rm(directory, { recursive: true });
    }
    return stores;
  }

  /**
   * Adds it to, or removes it from, what the programs of this machine trust.
   * @returns its file
   */
  async inSystem(trusted: boolean): Promise<string> {
    const file = path.join(systemDirectory, `${this.#name}.crt`);
    try {
      if (trusted) await writeFile(file, this.#pem);
      else await rm(file, { force: true });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES')
        throw new CliError('Only root changes what this machine trusts.', rootHint, error);
      if (code === 'ENOENT') throw new CliError(`There is no ${systemDirectory} here.`, undefined, error);
      throw error;
    }
    await run('update-ca-certificates', trusted ? [] : ['--fresh']);
    return file;
  }
}

/** Stores of Chromium and of each Firefox profile; Chromium's is made if it is wanted. */
async function browserStores(home: string, make: boolean): Promise<string[]> {
  const chromium = path.join(home, '.pki', 'nssdb');
  if (make && !(await isStore(chromium))) {
    await mkdir(chromium, { recursive: true, mode: 0o700 });
    await certutil(chromium, '-N', '--empty-password');
  }
  const profiles = path.join(home, '.mozilla', 'firefox');
  const names = await readdir(profiles).catch(() => []);
  const candidates = [chromium, ...names.sort().map((name) => path.join(profiles, name))];
  const found = await Promise.all(candidates.map(isStore));
  return candidates.filter((_, index) => found[index]);
}

async function isStore(directory: string): Promise<boolean> {
  return await stat(path.join(directory, 'cert9.db')).then(
    () => true,
    () => false,
  );
}

async function certutil(store: string, ...words: readonly string[]): Promise<void> {
  try {
    await run('certutil', ['-d', `sql:${store}`, ...words]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new CliError('certutil is not here.', 'Install the Debian package libnss3-tools.', error);
  }
}

function ignoreAbsence(error: unknown): void {
  if (error instanceof CliError) throw error;
}
