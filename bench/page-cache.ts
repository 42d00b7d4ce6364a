import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { BareVm } from './support/bare-engine.ts';
import { Laboratory } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

/** Launches from a snapshot that is in the page cache, and from one that has to be read from the disk. */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const samples: Record<string, number[]> = {};
  const add = (what: string, value: number): void => {
    samples[what] = [...(samples[what] ?? []), value];
  };
  await Laboratory.with(async (laboratory) => {
    await laboratory.build();
    const bare = await BareVm.prepare(laboratory.snapshotOf(), laboratory.scratch('bare'));
    for (let index = 0; index < n; index += 1) {
      for (const cache of ['warm', 'cold'] as const) {
        if (cache === 'cold') await dropFromPageCache(laboratory.snapshotOf());
        const launched = await bare.launch();
        add(`${cache}: launch (ms)`, launched);
        add(`${cache}: launch to first 200 (ms)`, launched + (await bare.get()));
        await bare.end();
      }
    }
    await report('page-cache', laboratory, samples);
  });
}

/** Only these files, and only while nobody maps them: other work on the machine keeps its cache. */
async function dropFromPageCache(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const file = path.join(directory, name);
    await promisify(execFile)('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}
