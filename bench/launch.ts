import { Laboratory } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

/** RunMicrovm until GetMicrovm says RUNNING, and until the first 200; memory of each VM once it idles. */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const running: number[] = [];
  const answered: number[] = [];
  const proportional: number[] = [];
  await Laboratory.with(async (laboratory) => {
    const { client } = laboratory;
    await laboratory.build();
    for (let index = 0; index < n; index += 1) {
      const startedAt = performance.now();
      const microvm = await client.run(laboratory.imageArn('counter'));
      const runningAt = client.until(microvm.microvmId, 'RUNNING').then(() => performance.now());
      // The first request is held by the server until the VM can serve it.
      await client.get(microvm, await client.token(microvm.microvmId));
      answered.push(performance.now() - startedAt);
      running.push((await runningAt) - startedAt);
      const { proportionalBytes } = await laboratory.inspect(microvm);
      if (proportionalBytes !== null) proportional.push(proportionalBytes / 2 ** 20);
      await laboratory.terminate(microvm);
    }
    await report('launch', laboratory, {
      'call to RUNNING (ms)': running,
      'call to first 200 (ms)': answered,
      'PSS of a running VM (MiB)': proportional,
    });
  });
}
