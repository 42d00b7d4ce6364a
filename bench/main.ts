/** `npm run bench -- NAME… [--n N]`: measures real VMs; every sample goes to a file in bench/results. */
import { parseArgs } from 'node:util';
import type { BenchmarkOptions } from './support/options.ts';

type Benchmark = (options: BenchmarkOptions) => Promise<void>;

const benchmarks: Readonly<Record<string, () => Promise<{ readonly run: Benchmark }>>> = {
  launch: () => import('./launch.ts'),
  resume: () => import('./resume.ts'),
  suspend: () => import('./suspend.ts'),
  lifecycle: () => import('./lifecycle.ts'),
  burst: () => import('./burst.ts'),
  'page-cache': () => import('./page-cache.ts'),
  sleeping: () => import('./sleeping.ts'),
  build: () => import('./build.ts'),
  endpoint: () => import('./endpoint.ts'),
  'endpoint-idle': () => import('./endpoint-idle.ts'),
  'guest-endpoint': () => import('./guest-endpoint.ts'),
  'control-plane': () => import('./control-plane.ts'),
};

const usage = `usage: npm run bench -- ${Object.keys(benchmarks).join('|')} [--n N]`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: { n: { type: 'string' } } });
  const n = values.n === undefined ? 20 : Number(values.n);
  const chosen = positionals.map((name) => benchmarks[name]);
  if (chosen.length === 0 || !Number.isSafeInteger(n) || n < 1) {
    console.error(usage);
    return 2;
  }
  for (const load of chosen) {
    if (load === undefined) {
      console.error(usage);
      return 2;
    }
    await (await load()).run({ n });
  }
  return 0;
}

process.exitCode = await main();
