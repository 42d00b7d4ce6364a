/**
 * `npm test [-- PATTERN…]`: static checks, unit tests, then tests on whole servers and real VMs.
 * A pattern narrows to test files whose path contains it, and leaves out what is not a test file.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { glob } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = path.join(root, 'node_modules', '.bin');
const skippedReporter = fileURLToPath(new URL('support/skipped-reporter.ts', import.meta.url));

/** Directories whose tests start VMs: one file at a time, so that they do not starve each other. */
const vmDirectories = ['contract', 'lifecycle', 'soak'] as const;

/** A file that takes so long hangs. */
const hangMs = 20 * 60 * 1000;

interface Step {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
}

let running: ChildProcess | undefined;

async function run(step: Step): Promise<boolean> {
  console.log(`\n▶ ${step.name}`);
  const child = spawn(step.command, step.arguments, { cwd: root, stdio: 'inherit' });
  running = child;
  const [code] = (await once(child, 'exit')) as [number | null];
  running = undefined;
  return code === 0;
}

async function testFiles(patterns: readonly string[]): Promise<readonly string[]> {
  const files = await Array.fromAsync(
    glob(['src/**/*.test.ts', 'test/**/*.test.ts', 'bench/**/*.test.ts'], { cwd: root }),
  );
  return files
    .filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
    .sort();
}

function needsVms(file: string): boolean {
  return vmDirectories.some((directory) => file.startsWith(`test/${directory}/`));
}

function tests(name: string, files: readonly string[], concurrency: number): readonly Step[] {
  if (files.length === 0) return [];
  return [
    {
      name: `${name} (${files.length} files)`,
      command: process.execPath,
      arguments: [
        '--disable-warning=ExperimentalWarning',
        '--test',
        `--test-timeout=${hangMs}`,
        `--test-concurrency=${concurrency}`,
        '--test-reporter=spec',
        '--test-reporter-destination=stdout',
        `--test-reporter=${skippedReporter}`,
        '--test-reporter-destination=stdout',
        ...files,
      ],
    },
  ];
}

async function main(patterns: readonly string[]): Promise<number> {
  const files = await testFiles(patterns);
  if (patterns.length > 0 && files.length === 0) {
    console.error(`no test file's path contains ${patterns.join(' or ')}`);
    return 2;
  }
  const checks: readonly Step[] = [
    { name: 'types', command: path.join(bin, 'tsc'), arguments: ['--noEmit'] },
    {
      name: 'format and lint',
      command: path.join(bin, 'biome'),
      arguments: ['ci', '--diagnostic-level=warn', '.'],
    },
  ];
  const steps = [
    ...(patterns.length === 0 ? checks : []),
    ...tests(
      'unit and server tests',
      files.filter((file) => !needsVms(file)),
      availableParallelism(),
    ),
    ...tests('tests on real VMs', files.filter(needsVms), 1),
  ];
  const failed: string[] = [];
  for (const step of steps) {
    if (!(await run(step))) failed.push(step.name);
  }
  console.log(failed.length === 0 ? '\nall passed' : `\nfailed: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    running?.kill(signal);
    process.exitCode = 130;
  });
}
process.exitCode = await main(process.argv.slice(2));
