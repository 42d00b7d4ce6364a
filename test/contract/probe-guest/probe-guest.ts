import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, open } from 'node:fs/promises';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Assets, locateAssets } from '../../../src/assets.ts';
import { agentInRoot } from '../../../src/vmm/gvisor/vm-files.ts';
import type { VmmInstance } from '../../../src/vmm/vmm.ts';

const run = promisify(execFile);
const checkout = fileURLToPath(new URL('../../../', import.meta.url));
const environment = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
const answerTimeoutMs = 60_000;

/** A guest of one tiny program, and an empty root disk for it. */
export interface ProbeGuest {
  readonly assets: Assets;
  readonly rootDisk: string;
}

/** Builds the guest's initrd and disk, and the host helper from its present source, below `directory`. */
export async function buildProbeGuest(directory: string): Promise<ProbeGuest> {
  const installed = locateAssets();
  const at = (name: string): string => path.join(directory, name);
  const assets = {
    ...installed,
    directory,
    initrd: at('initrd.img'),
    memoryDifference: at('memory-difference'),
    vmmJail: at('vmm-jail'),
  };
  const rootDisk = at('root.ext4');
  await mkdir(at('empty'), { recursive: true });
  const source = path.join(checkout, 'test/contract/probe-guest/init.c');
  await Promise.all([
    run('make', ['-s', '-C', path.join(checkout, 'src/vmm/qemu/native'), `OUT=${directory}`]),
    run('cc', ['-std=c17', '-O1', '-Wall', '-Wextra', '-Werror', '-static', '-o', at('init'), source]),
    open(rootDisk, 'w').then(async (disk) => {
      await disk.truncate(256 * 1024 * 1024);
      await disk.close();
      await run('mke2fs', ['-q', '-t', 'ext4', '-d', at('empty'), rootDisk], { env: environment });
    }),
  ]);
  const makeInitrd = path.join(checkout, 'scripts/lib/make-initrd');
  await run(makeInitrd, [path.join(installed.directory, 'kernel'), at('init'), assets.initrd], {
    env: environment,
  });
  return { assets, rootDisk };
}

/** The same program as the whole root of a sandbox. */
export async function buildProbeSandbox(directory: string): Promise<string> {
  const { rootDisk } = await buildProbeGuest(directory);
  const tree = path.join(directory, 'tree');
  const image = path.join(path.dirname(rootDisk), 'root.erofs');
  await mkdir(tree, { recursive: true });
  for (const name of ['proc', 'dev', 'tmp', 'sys']) await mkdir(path.join(tree, name));
  await copyFile(path.join(directory, 'init'), path.join(tree, agentInRoot));
  await run('mkfs.erofs', ['-E', 'noinline_data', '--quiet', image, tree], { env: environment });
  return image;
}

export interface Answer {
  /** Hits since the guest booted, kept in memory. */
  readonly memory: number;
  /** Hits since the root disk was made, kept in a file. */
  readonly disk: number;
  /** Fresh from the guest kernel's generator. */
  readonly random: string;
  /** Drawn once when the guest booted. */
  readonly identity: string;
}

/**
 * Sends one order over a connection of its own and reads the one-line answer. One to an earlier connection, lost
 * with it, may come first.
 */
export async function hit(vm: VmmInstance, order: 'h' | 'w' = 'h'): Promise<Answer> {
  const connection = await vm.connectAgent();
  try {
    connection.write(order);
    return JSON.parse(await readLine(connection)) as Answer;
  } finally {
    connection.destroy();
    if (!connection.closed) await once(connection, 'close');
  }
}

async function readLine(connection: Duplex): Promise<string> {
  let text = '';
  const signal = AbortSignal.timeout(answerTimeoutMs);
  while (!text.includes('\n')) {
    const [chunk] = (await once(connection, 'data', { signal })) as [Buffer];
    text += chunk.toString();
  }
  return text.trim().split('\n').at(-1) ?? '';
}

/**
 * A random number drawn once the guest has had the time to notice its new generation id. The kernel does so in the
 * background: numbers drawn at once may still be those of every clone.
 */
export async function settledRandom(vm: VmmInstance): Promise<string> {
  for (let draw = 0; draw < 20; draw++) await hit(vm);
  return (await hit(vm)).random;
}

/** Tells the guest to power off, which gives no answer. */
export async function powerOff(vm: VmmInstance): Promise<void> {
  const connection = await vm.connectAgent();
  connection.on('error', () => undefined);
  connection.write('q');
}
