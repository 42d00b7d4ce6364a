import { Laboratory, timed } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

/** A request to a sleeping VM until its answer; for comparison, one to the same VM awake. */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const asleep: number[] = [];
  const awake: number[] = [];
  await Laboratory.with(async (laboratory) => {
    const { client } = laboratory;
    await laboratory.build();
    const microvm = await client.run(laboratory.imageArn('counter'), {
      maxIdleDurationSeconds: 3600,
      suspendedDurationSeconds: 3600,
      autoResumeEnabled: true,
    });
    const token = await client.token(microvm.microvmId);
    await client.get(microvm, token);
    for (let index = 0; index < n; index += 1) {
      await client.suspend(microvm.microvmId);
      await client.until(microvm.microvmId, 'SUSPENDED');
      asleep.push(await timed(async () => await client.get(microvm, token)));
      awake.push(await timed(async () => await client.get(microvm, token)));
    }
    await laboratory.terminate(microvm);
    await report('resume', laboratory, {
      'request to a sleeping VM (ms)': asleep,
      'request to the VM awake (ms)': awake,
    });
  });
}
