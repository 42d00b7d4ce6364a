import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { mountsIn, processesIn } from '../../scripts/support/leftovers.ts';
import { directorySize } from '../../src/blobs/directory-size.ts';
import { LossError } from './tally.ts';

/** Everything that the directory of a sleeping microVM may hold. */
const expected: ReadonlySet<string> = new Set([
  'difference',
  'disk.qcow2',
  'device-state',
  'vmm.log',
  'console.log',
  // Those of a process that is kept or that was killed.
  'process.json',
  'process.json.tmp',
  'qmp',
  'agent',
  'console',
]);
/** Of these every resume clears what the one before it left. */
const passing = ['difference.consumed', 'difference.next'];

/** What a first sleep stores may grow so far: the kernel and the application use some pages only now and then. */
const growthFactor = 2;
const growthBytes = 8 * 2 ** 20;

/** The files of one microVM from sleep to sleep. */
export class SleepingFiles {
  readonly #directory: string;
  #first: number | undefined;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Looks at what a sleeping microVM has on the disk; resolves with its bytes.
   * @throws {LossError} something is there that does not belong there, or it has grown
   */
  async verify(): Promise<number> {
    const names = await readdir(this.#directory);
    const strange = names.filter((name) => !expected.has(name) && !passing.includes(name));
    if (strange.length > 0) throw new LossError(`${this.#directory} holds ${strange.join(', ')}`);
    if (!names.includes('difference')) throw new LossError(`${this.#directory} holds no sleeping microVM`);
    const bytes = await directorySize(this.#directory);
    this.#first ??= bytes;
    if (bytes > this.#first * growthFactor + growthBytes) {
      throw new LossError(`${this.#directory} has grown from ${this.#first} to ${bytes} bytes`);
    }
    return bytes;
  }
}

/**
 * Looks at a data directory after its last server has stopped and every microVM was terminated.
 * @throws {LossError} something is left
 */
export async function verifyNothingLeft(dataDirectory: string): Promise<void> {
  const left = [
    ...(await readdir(path.join(dataDirectory, 'microvms'))),
    ...(await processesIn(path.join(dataDirectory, 'microvms'))).map((pid) => `process ${pid}`),
    ...(await mountsIn(dataDirectory)).map((mount) => `mount ${mount}`),
  ];
  if (left.length > 0) throw new LossError(`left over: ${left.join(', ')}`);
}
