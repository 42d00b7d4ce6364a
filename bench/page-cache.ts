import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { snapshotPath } from '../src/vmm/qemu/snapshot-files.ts';
import { BareVm } from './support/bare-engine.ts';
import { Laboratory } from './support/laboratory.ts';
import { type BenchmarkOptions, rounds } from './support/options.ts';
import { report, SampleSet } from './support/results.ts';

const execute = promisify(execFile);
const variants = ['warm', 'cold', 'cold, read ahead'] as const;

/**
 * Launches from a snapshot that is in the page cache, from one that has to be read from the disk, and from such a one
 * whose memory a child reads meanwhile. Faults tell how often a guest waited for the disk, whatever else the machine
 * did.
 */
export async function run(options: BenchmarkOptions): Promise<void> {
  const { samples, add } = new SampleSet();
  await Laboratory.with(async (laboratory) => {
    await laboratory.build();
    const snapshot = laboratory.snapshotOf();
    const bare = await BareVm.prepare(snapshot, laboratory.scratch('bare'));
    for (const _ of rounds(options)) {
      for (const variant of variants) {
        if (variant !== 'warm') await dropFromPageCache(snapshot);
        const reading =
          variant === 'cold, read ahead' ? readAll(snapshotPath(snapshot, 'memory')) : undefined;
        const launched = await bare.launch();
        add(`${variant}: launch (ms)`, launched);
        add(`${variant}: launch to first 200 (ms)`, launched + (await bare.get()));
        add(`${variant}: faults that waited for the disk`, await majorFaults(bare.pid));
        await reading;
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
    await execute('dd', [`if=${file}`, 'iflag=nocache', 'count=0', 'status=none']);
  }
}

async function readAll(file: string): Promise<void> {
  await execute('dd', [`if=${file}`, 'of=/dev/null', 'bs=1M', 'status=none']);
}

async function majorFaults(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[9]);
}
