/*
 * npm run soak -- [--minutes N] [--vms N] [--wake-cache SIZE] [--fake]
 *
 * Puts microVMs to sleep and wakes them by requests, forks them, kills their VMMs and the server, and verifies after
 * each cycle that counters, files and identities are right. Ends with exit code 1 when anything was lost. With --fake
 * the server is the real one and the machines are those of test/fake-machine, which wake in milliseconds.
 */
import { mkdir, mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { removeEverything } from '../../scripts/support/leftovers.ts';
import type { ServerOptions } from '../../scripts/support/server-process.ts';
import { buildFakeMachine } from '../fake-machine/fake-machine.ts';
import { Host } from './host.ts';
import { SoakedMicrovm, type Tally } from './microvm.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const reportMs = 30_000;
const shortestLifeMs = 10_000;
const longestLifeMs = 40_000;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    vms: { type: 'string', default: '5' },
    'wake-cache': { type: 'string' },
    fake: { type: 'boolean', default: false },
  },
});

async function serverOptions(scratch: string): Promise<ServerOptions> {
  const cache = values['wake-cache'];
  const flags = cache === undefined ? [] : ['--wake-cache', cache];
  const base = { dataDirectory: path.join(scratch, 'data'), flags };
  if (!values.fake) return base;
  const { programs } = await buildFakeMachine(path.join(scratch, 'machine'));
  const PATH = `${programs}${path.delimiter}${process.env.PATH}`;
  return { ...base, environment: { PATH, DORMOUSE_ACCELERATOR: 'tcg' } };
}

function describe(tally: Tally): string {
  const { losses, drawn, ...counts } = tally;
  return JSON.stringify({ ...counts, distinctRandoms: drawn.size, losses: losses.length });
}

async function soak(host: Host, tally: Tally, minutes: number): Promise<void> {
  const end = performance.now() + minutes * 60_000;
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort());
  process.once('SIGTERM', () => interruption.abort());
  const goesOn = (): boolean => performance.now() < end && !interruption.signal.aborted;
  const pause = (ms: number): Promise<void> =>
    delay(ms, undefined, { signal: interruption.signal }).catch(() => undefined);
  const microvms = Array.from({ length: Number(values.vms) }, () => new SoakedMicrovm(host, tally));
  const toggling = microvms.map(async (microvm) => {
    while (goesOn()) await microvm.cycle();
    await microvm.end();
  });
  const killing = async (): Promise<void> => {
    while (goesOn()) {
      await pause(shortestLifeMs + Math.random() * (longestLifeMs - shortestLifeMs));
      if (!goesOn()) return;
      await host.crash();
      tally.serversKilled += 1;
    }
  };
  const reporting = setInterval(() => console.log(describe(tally)), reportMs);
  try {
    await Promise.all([...toggling, killing()]);
  } finally {
    clearInterval(reporting);
  }
}

const scratch = await mkdtemp(path.join(await scratchRoot(), 'soak-'));
const tally: Tally = {
  cycles: 0,
  requests: 0,
  forks: 0,
  serversKilled: 0,
  machinesKilledAwake: 0,
  machinesKilledAsleep: 0,
  losses: [],
  drawn: new Set(),
};
try {
  const host = await Host.start(await serverOptions(scratch));
  console.log(`building the counter image (${values.fake ? 'fake machines' : host.accelerator})`);
  await host.build();
  await soak(host, tally, Number(values.minutes));
  await host.stop();
} catch (error) {
  tally.losses.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
} finally {
  await removeEverything(scratch);
}
console.log(describe(tally));
for (const loss of tally.losses) console.error(loss);
process.exitCode = tally.losses.length === 0 ? 0 : 1;

async function scratchRoot(): Promise<string> {
  const directory = path.join(root, 'build');
  await mkdir(directory, { recursive: true });
  return directory;
}
