import type { LaunchedMicrovm } from '../scripts/support/microvm-client.ts';
import { Laboratory } from './support/laboratory.ts';
import { type BenchmarkOptions, rounds } from './support/options.ts';
import { report, SampleSet } from './support/results.ts';

const sizes = [1, 10, 50] as const;
const forks = [1, 10] as const;

/** Many at once: launches until all are RUNNING, and forks of one VM. */
export async function run(options: BenchmarkOptions): Promise<void> {
  const { samples, add } = new SampleSet();
  await Laboratory.with(async (laboratory) => {
    const { client } = laboratory;
    await laboratory.build();
    const { microvm: parent } = await laboratory.launch();
    const allRun = async (begin: () => Promise<readonly LaunchedMicrovm[]>, what: string): Promise<void> => {
      const startedAt = performance.now();
      const vms = await begin();
      for (const { microvmId } of vms) await client.until(microvmId, 'RUNNING');
      const elapsed = performance.now() - startedAt;
      add(`${what}: until all run (ms)`, elapsed);
      add(`${what}: VMs/s`, (vms.length * 1000) / elapsed);
      for (const vm of vms) await client.terminate(vm.microvmId);
      for (const vm of vms) await client.until(vm.microvmId, 'TERMINATED');
    };
    for (const _ of rounds(options)) {
      for (const size of sizes) {
        const image = laboratory.imageArn('counter');
        const begin = () => Promise.all(Array.from({ length: size }, () => client.run(image)));
        await allRun(begin, `${size} launched at once`);
      }
      for (const count of forks) await allRun(() => laboratory.fork(parent, count), `fork of ${count}`);
    }
    await laboratory.terminate(parent);
    await report('burst', laboratory, samples);
  });
}
