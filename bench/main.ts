/**
 * `npm run bench -- NAME… [--n N] [--minutes M] [--markdown]`: measures real VMs; every sample goes to a file in
 * bench/results. Each benchmark takes about M minutes at most, and what it did in them is its n.
 */
import { parseArgs } from 'node:util';
import type { BenchmarkOptions } from './support/options.ts';
import { asMarkdown } from './support/results.ts';

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
  neighbour: () => import('./neighbour.ts'),
  'control-plane': () => import('./control-plane.ts'),
};

const usage = `usage: npm run bench -- ${Object.keys(benchmarks).join('|')} [--n N] [--minutes M] [--markdown]`;

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      n: { type: 'string', default: '20' },
      minutes: { type: 'string', default: '4' },
      markdown: { type: 'boolean', default: false },
    },
  });
  const n = Number(values.n);
  const budgetMs = Number(values.minutes) * 60_000;
  const chosen = positionals.map((name) => benchmarks[name]);
  if (chosen.length === 0 || !Number.isSafeInteger(n) || n < 1 || !(budgetMs > 0)) {
    console.error(usage);
    return 2;
  }
  for (const load of chosen) {
    if (load === undefined) {
      console.error(usage);
      return 2;
    }
    await (await load()).run({ n, budgetMs });
  }
  if (values.markdown) console.log(`\n${asMarkdown()}`);
  return 0;
}

process.exitCode = await main();
