import { execFile } from 'node:child_process';
import { access, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';

interface NativeStep {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
}

const directories = ['guest-agent', 'src/vmm/qemu/native'] as const;

/** `make test` of each native program that has such a target; what cannot run is named with its reason. */
export async function nativeSteps(
  root: string,
): Promise<{ readonly steps: readonly NativeStep[]; readonly skipped: readonly string[] }> {
  const steps: NativeStep[] = [];
  const skipped: string[] = [];
  const hasMake = await promisify(execFile)('make', ['--version']).then(
    () => true,
    () => false,
  );
  for (const directory of directories) {
    const makefile = path.join(root, directory, 'Makefile');
    const exists = await access(makefile).then(
      () => true,
      () => false,
    );
    if (!exists || !/^test:/m.test(await readFile(makefile, 'utf8'))) continue;
    if (!hasMake) {
      skipped.push(`native tests of ${directory}: make is not installed`);
      continue;
    }
    steps.push({
      name: `native tests of ${directory}`,
      command: 'make',
      arguments: ['-C', directory, 'test'],
    });
  }
  return { steps, skipped };
}
