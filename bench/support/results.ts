import { mkdir, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Summary, summarize } from './statistics.ts';

const directory = fileURLToPath(new URL('../results', import.meta.url));

/** Samples by what was measured; the unit is the end of the name, such as `wake to answer (ms)`. */
export type Samples = Readonly<Record<string, readonly number[]>>;

export interface Conditions {
  /** VMM and accelerator, as `qemu/tcg`. */
  readonly accelerator: string;
}

/** Prints medians and 99th percentiles, and writes every sample to a file in `bench/results`. */
export async function report(name: string, conditions: Conditions, samples: Samples): Promise<void> {
  const machine = {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    kernel: os.release(),
  };
  const summaries = Object.entries(samples).map(([what, values]) => [what, summarize(values)] as const);
  console.log(`\n${name} on ${conditions.accelerator}, ${machine.cores} cores`);
  for (const [what, summary] of summaries) console.log(`  ${what.padEnd(34)} ${line(summary)}`);
  await mkdir(directory, { recursive: true });
  const at = new Date().toISOString();
  const file = path.join(directory, `${name}-${at.replaceAll(/[:.]/g, '-')}.json`);
  const content = { name, at, ...conditions, machine, summaries: Object.fromEntries(summaries), samples };
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`);
  console.log(`  ${path.relative(process.cwd(), file)}`);
}

function line({ n, median, p99 }: Summary): string {
  return `median ${shown(median).padStart(8)}   p99 ${shown(p99).padStart(8)}   n ${n}`;
}

function shown(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}
