import { Laboratory, timed } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

/** `dormouse build examples/counter`: once with nothing there, then again and again with its layers there. */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  await Laboratory.with(async (laboratory) => {
    const first = await timed(async () => await laboratory.build());
    const again: number[] = [];
    for (let index = 1; index < n; index += 1) {
      again.push(await timed(async () => await laboratory.build()));
    }
    await report('build', laboratory, {
      'first build (s)': [first / 1000],
      ...(again.length === 0 ? {} : { 'unchanged build (s)': again.map((duration) => duration / 1000) }),
    });
  });
}
