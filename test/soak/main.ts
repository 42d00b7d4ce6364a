/*
 * npm run soak -- [--minutes N] [--cycles N] [--vms N] [--fake]
 *
 * Puts microVMs to sleep and wakes them by requests, forks them, kills their VMMs and the server, and verifies after
 * each cycle that counters, files and identities are right. Each server is set up otherwise than the one before it:
 * with nothing kept, with a wake cache too small for all, with one large enough and a warm pool. Ends after so many
 * minutes or cycles, with exit code 1 when anything was lost. With --fake the server is the real one and the machines
 * are those of test/fake-machine, which wake in milliseconds.
 */
import { mkdir, mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { removeEverything } from '../../scripts/support/leftovers.ts';
import type { ServerOptions } from '../../scripts/support/server-process.ts';
import { buildFakeMachine } from '../fake-machine/fake-machine.ts';
import { verifyNothingLeft } from './files.ts';
import { Host } from './host.ts';
import { SoakedMicrovm } from './microvm.ts';
import { Tally } from './tally.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const reportMs = 30_000;
const shortestLifeMs = 20_000;
const longestLifeMs = 60_000;

const largeCache = ['--wake-cache', '1G', '--warm-pool', 'fixed:1'];
/** An idle VM holds some 60 MiB: this keeps two. */
const smallCache = ['--wake-cache', '150M'];
/** Flags of the servers, in turns. Most wakes are to be cheap, so that there are many. */
const phases = [[], largeCache, smallCache, largeCache];

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    cycles: { type: 'string', default: 'Infinity' },
    vms: { type: 'string', default: '5' },
    fake: { type: 'boolean', default: false },
  },
});

async function serverOptions(scratch: string): Promise<ServerOptions> {
  const base = { dataDirectory: path.join(scratch, 'data') };
  if (!values.fake) return base;
  const { programs } = await buildFakeMachine(path.join(scratch, 'machine'));
  const PATH = `${programs}${path.delimiter}${process.env.PATH}`;
  return { ...base, environment: { PATH, DORMOUSE_ACCELERATOR: 'tcg' } };
}

async function soak(host: Host, tally: Tally): Promise<void> {
  const end = performance.now() + Number(values.minutes) * 60_000;
  const interruption = new AbortController();
  process.once('SIGINT', () => interruption.abort());
  process.once('SIGTERM', () => interruption.abort());
  const goesOn = (): boolean =>
    performance.now() < end && tally.cycles < Number(values.cycles) && !interruption.signal.aborted;
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
      if (goesOn()) await host.crash();
    }
  };
  const reporting = setInterval(() => console.log(tally.describe()), reportMs);
  // One that fails ends the others, and all are waited for: nobody may go on while everything is removed.
  await Promise.all(
    [...toggling, killing()].map((work) =>
      work.catch((error: unknown) => {
        tally.fail(error);
        interruption.abort();
      }),
    ),
  );
  clearInterval(reporting);
}

await mkdir(path.join(root, 'build'), { recursive: true });
const scratch = await mkdtemp(path.join(root, 'build', 'soak-'));
const tally = new Tally();
try {
  const options = await serverOptions(scratch);
  const host = await Host.start(options, phases, tally);
  console.log(`building the counter image (${values.fake ? 'fake machines' : host.accelerator})`);
  await host.build();
  await soak(host, tally);
  await host.stop();
  await verifyNothingLeft(options.dataDirectory);
} catch (error) {
  tally.fail(error);
} finally {
  await removeEverything(scratch);
}
console.log(tally.describe());
for (const loss of tally.losses) console.error(loss);
process.exitCode = tally.losses.length === 0 ? 0 : 1;
