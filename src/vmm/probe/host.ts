import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type Architecture, VmmError } from '../vmm.ts';

/** @throws {VmmError} neither x86_64 nor arm64 */
export function hostArchitecture(): Architecture {
  if (process.arch === 'x64') return 'x86_64';
  if (process.arch === 'arm64') return 'arm64';
  throw new VmmError(`unsupported processor: ${process.arch} (x86_64 and arm64 are supported)`);
}

/** Name of the QEMU program that runs guests of this architecture. */
export function qemuProgram(architecture: Architecture): string {
  return architecture === 'x86_64' ? 'qemu-system-x86_64' : 'qemu-system-aarch64';
}

/** Absolute path of a program in PATH. /usr/sbin is looked through too: an ordinary user's PATH may lack it. */
export async function findExecutable(
  name: string,
  searchPath = process.env.PATH ?? '',
): Promise<string | undefined> {
  const directories = [...searchPath.split(path.delimiter), '/usr/sbin', '/sbin'];
  for (const directory of directories.filter((entry) => path.isAbsolute(entry))) {
    const file = path.join(directory, name);
    const found = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return file;
  }
  return undefined;
}

/** What a KVM guest depends on besides QEMU: the processor as the host's kernel names it, and that kernel. */
export async function describeHost(): Promise<string> {
  const information = await readFile('/proc/cpuinfo', 'utf8').catch(() => '');
  const processor = /^(?:model name|CPU part)\s*:\s*(.*)$/m.exec(information)?.[1] ?? os.arch();
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(information)?.[1] ?? '';
  return [processor, flags, os.release()].join('\n');
}
