import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { link, mkdir, mkdtemp, open, realpath, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Assets } from '../../src/assets.ts';
import { hostArchitecture, qemuProgram } from '../../src/vmm/probe/host.ts';
import type { QemuVmmOptions } from '../../src/vmm/qemu/qemu-vmm.ts';

const run = promisify(execFile);
const here = fileURLToPath(new URL('.', import.meta.url));
const helperSource = fileURLToPath(new URL('../../src/vmm/qemu/native', import.meta.url));

/** A machine that is quick to start and cannot run code, as the product's QEMU driver takes one. */
export interface FakeMachine {
  readonly options: QemuVmmOptions;
  /** Directory with the program under the names of QEMU and qemu-img, to put first in a PATH. */
  readonly programs: string;
  readonly rootDisk: string;
}

/** Builds the machine, and the host helper from its present source, below `directory`. */
export async function buildFakeMachine(directory: string): Promise<FakeMachine> {
  const programs = path.join(directory, 'programs');
  const assets: Assets = {
    directory,
    kernel: path.join(directory, 'kernel'),
    initrd: path.join(directory, 'initrd'),
    memoryDifference: path.join(programs, 'memory-difference'),
    vmmJail: path.join(programs, 'vmm-jail'),
    runsc: path.join(programs, 'runsc'),
    pageDifference: path.join(programs, 'page-difference'),
    agent: path.join(directory, 'agent'),
    containerStorage: path.join(directory, 'containers'),
  };
  const rootDisk = path.join(directory, 'root.ext4');
  const architecture = hostArchitecture();
  const binary = path.join(programs, qemuProgram(architecture));
  await mkdir(programs, { recursive: true });
  await Promise.all([
    run('cc', [
      ...['-std=c17', '-O1', '-Wall', '-Wextra', '-Werror', '-o', binary],
      ...['machine.c', 'guest.c'].map((file) => path.join(here, file)),
    ]),
    run('make', ['-s', '-C', helperSource, `OUT=${programs}`]),
    writeFile(assets.kernel, 'kernel'),
    writeFile(assets.initrd, 'agent'),
    writeFile(rootDisk, ''),
  ]);
  await link(binary, path.join(programs, 'qemu-img'));
  const disk = await open(rootDisk, 'r+');
  await disk.truncate(1 << 20);
  await disk.close();
  return { options: { assets, accelerator: 'tcg', binary, architecture }, programs, rootDisk };
}

let shared: Promise<FakeMachine> | undefined;

/** The machine of this process: built once, removed at its end. */
export function sharedFakeMachine(): Promise<FakeMachine> {
  shared ??= (async () => {
    const directory = await realpath(await mkdtemp(path.join(os.tmpdir(), 'dormouse-machine-')));
    process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
    return await buildFakeMachine(directory);
  })();
  return shared;
}
