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

/** Samples that grow while something is measured. */
export class SampleSet {
  readonly samples: Record<string, number[]> = {};

  /** Bound, because it is handed on. */
  readonly add = (what: string, value: number): void => {
    this.samples[what] = [...(this.samples[what] ?? []), value];
  };

  /** Median of the one in terms of the median of the other. */
  ratio(what: string, base: string): number {
    return summarize(this.samples[what] ?? []).median / summarize(this.samples[base] ?? []).median;
  }
}

const pages: string[] = [];

/**
 * Prints medians and 99th percentiles, and writes every sample to a file in `bench/results`.
 * @param ratios medians in terms of others, by what they are of
 */
export async function report(
  name: string,
  conditions: Conditions,
  samples: Samples,
  ratios: Readonly<Record<string, number>> = {},
): Promise<void> {
  const machine = {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    kernel: os.release(),
  };
  const summaries = Object.entries(samples).map(([what, values]) => [what, summarize(values)] as const);
  const title = `${name} on ${conditions.accelerator}, ${machine.cores} cores`;
  console.log(`\n${title}`);
  for (const [what, summary] of summaries) console.log(`  ${what.padEnd(46)} ${line(summary)}`);
  for (const [what, ratio] of Object.entries(ratios)) {
    console.log(`  ratio of medians, ${what.padEnd(28)} ${ratio.toFixed(2)}`);
  }
  pages.push(page(title, summaries, ratios));
  await mkdir(directory, { recursive: true });
  const at = new Date().toISOString();
  const file = path.join(directory, `${name}-${at.replaceAll(/[:.]/g, '-')}.json`);
  const content = {
    name,
    at,
    ...conditions,
    machine,
    summaries: Object.fromEntries(summaries),
    ratios,
    samples,
  };
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`);
  console.log(`  ${path.relative(process.cwd(), file)}`);
}

/** All that was reported, as tables for a document. */
export function asMarkdown(): string {
  return pages.join('\n');
}

function page(
  title: string,
  summaries: readonly (readonly [string, Summary])[],
  ratios: Readonly<Record<string, number>>,
): string {
  const rows = summaries.map(
    ([what, { n, median, p99 }]) => `| ${what} | ${shown(median)} | ${shown(p99)} | ${n} |`,
  );
  const ratioRows = Object.entries(ratios).map(([what, ratio]) => `| ${what} | ${ratio.toFixed(2)} |`);
  return [
    `**${title}**`,
    '',
    '| | median | p99 | n |',
    '|---|---|---|---|',
    ...rows,
    ...(ratioRows.length === 0 ? [] : ['', '| ratio of medians | |', '|---|---|', ...ratioRows]),
    '',
  ].join('\n');
}

function line({ n, median, p99 }: Summary): string {
  return `median ${shown(median).padStart(8)}   p99 ${shown(p99).padStart(8)}   n ${n}`;
}

function shown(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(1);
}
