import { Laboratory, timed } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

/** SuspendMicrovm until SUSPENDED, which is only said once all is durable; the space it takes then. */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const durable: number[] = [];
  const disk: number[] = [];
  await Laboratory.with(async (laboratory) => {
    const { client } = laboratory;
    await laboratory.build();
    const { microvm, token } = await laboratory.launch();
    for (let index = 0; index < n; index += 1) {
      durable.push(
        await timed(async () => {
          await client.suspend(microvm.microvmId);
          await client.until(microvm.microvmId, 'SUSPENDED');
        }),
      );
      disk.push((await laboratory.inspect(microvm)).diskBytes / 1e6);
      await client.resume(microvm.microvmId);
      await client.until(microvm.microvmId, 'RUNNING');
      await client.get(microvm, token);
    }
    await laboratory.terminate(microvm);
    await report('suspend', laboratory, {
      'call to durable (ms)': durable,
      'disk of a suspended VM (MB)': disk,
    });
  });
}
