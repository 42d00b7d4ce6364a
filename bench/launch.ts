import { Laboratory } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

/**
 * RunMicrovm until GetMicrovm says RUNNING, and until the first 200, on VMs of their own: asking for the state
 * takes time from a launch that is waited for otherwise. Then the memory of each VM once it has answered.
 */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const running: number[] = [];
  const answered: number[] = [];
  const proportional: number[] = [];
  await Laboratory.with(async (laboratory) => {
    const { client } = laboratory;
    const image = laboratory.imageArn('counter');
    await laboratory.build();
    for (let index = 0; index < n; index += 1) {
      const startedAt = performance.now();
      const watched = await client.run(image);
      await client.until(watched.microvmId, 'RUNNING');
      running.push(performance.now() - startedAt);
      await laboratory.terminate(watched);
    }
    for (let index = 0; index < n; index += 1) {
      const startedAt = performance.now();
      const microvm = await client.run(image);
      // The server holds the first request until the VM can serve it.
      await client.get(microvm, await client.token(microvm.microvmId));
      answered.push(performance.now() - startedAt);
      const { proportionalBytes } = await laboratory.inspect(microvm);
      if (proportionalBytes !== null) proportional.push(proportionalBytes / 2 ** 20);
      await laboratory.terminate(microvm);
    }
    await report('launch', laboratory, {
      'call to RUNNING (ms)': running,
      'call to first 200 (ms)': answered,
      'PSS of an idle VM (MiB)': proportional,
    });
  });
}
