import { h1Requests, h2Requests } from './endpoint/load.ts';
import { Laboratory } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

/** Requests to an application in a real VM, one at a time and several at once. */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  await Laboratory.with(async (laboratory) => {
    await laboratory.build();
    const { microvm, token } = await laboratory.launch();
    const target = await laboratory.target(microvm, token);
    const rate = async (work: () => Promise<readonly number[]>): Promise<number> => {
      const startedAt = performance.now();
      const { length } = await work();
      return length / ((performance.now() - startedAt) / 1000);
    };
    await h1Requests(target, 4, 50);
    await report('guest-endpoint', laboratory, {
      'h1 latency (ms)': await h1Requests(target, 1, n),
      'h2 latency (ms)': await h2Requests(target, 1, n),
      'h1 requests/s, 8 connections': [await rate(() => h1Requests(target, 8, n))],
      'h2 requests/s, 8 streams': [await rate(() => h2Requests(target, 8, n))],
    });
    await laboratory.terminate(microvm);
  });
}
