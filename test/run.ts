/**
 * `npm test [-- PATTERN…]`: static checks, unit tests, then tests on whole servers and real VMs.
 * A pattern narrows to test files whose path contains it, and leaves out what is not a test file.
 */
import { glob } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, type Step } from './runner/step.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const bin = path.join(root, 'node_modules', '.bin');
const skippedReporter = fileURLToPath(new URL('support/skipped-reporter.ts', import.meta.url));

/** Directories whose tests start VMs: one file at a time, so that they do not starve each other. */
const vmDirectories = ['contract', 'lifecycle', 'soak'] as const;

const minuteMs = 60_000;
/** What takes longer hangs. All together is well below what a CI service allows, so that it is we who say what hung. */
const limits = { testMs: 10 * minuteMs, fileMs: 15 * minuteMs, allMs: 80 * minuteMs };

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
        `--test-timeout=${limits.testMs}`,
        // What a test leaves running must not keep the others waiting.
        '--test-force-exit',
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

/** Resolves with the names of the steps that failed. */
async function runAll(steps: readonly Step[], signal: AbortSignal): Promise<readonly string[]> {
  const failed: string[] = [];
  for (const step of steps) {
    if (signal.aborted) return [...failed, `${step.name} (not run)`];
    console.log(`\n▶ ${step.name}`);
    const passed = await run(step, root, {
      fileMs: limits.fileMs,
      lookMs: 1000,
      onOverdue: (file) => console.log(`✖ killed, not done within ${limits.fileMs / minuteMs} min: ${file}`),
      signal,
    });
    if (!passed) failed.push(step.name);
  }
  return failed;
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
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => ending.abort(new Error(`ended by ${signal}`)));
  }
  const timer = setTimeout(() => {
    ending.abort(new Error(`not done within ${limits.allMs / minuteMs} min`));
  }, limits.allMs);
  const failed = await runAll(steps, ending.signal);
  clearTimeout(timer);
  if (ending.signal.aborted) console.log(`\n${(ending.signal.reason as Error).message}`);
  console.log(failed.length === 0 ? '\nall passed' : `\nfailed: ${failed.join(', ')}`);
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
