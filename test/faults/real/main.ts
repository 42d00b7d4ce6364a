/*
 * npm run soak:every-step -- [--transition NAME]… [--kill server|machines]… [--from K] [--stride K] [--minutes N]
 *
 * Kills the real server, and the real VMM, at every step of every transition of real microVMs, and verifies each time
 * that another server goes on with what is there: every acknowledged count, states that last, and nothing left over.
 * The steps are those that the seam of the tests on a fake machine counts. Prints a line for each transition and a
 * summary as JSON; ends with exit code 1 when anything was lost.
 */
import { mkdir, mkdtemp } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { removeEverything } from '../../../scripts/support/leftovers.ts';
import { verifyNothingLeft } from '../../soak/files.ts';
import { Host } from '../../soak/host.ts';
import { Tally } from '../../soak/tally.ts';
import { environment, type Victim } from './control.ts';
import { Sweep } from './sweep.ts';
import { transitions } from './transitions.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const preload = new URL('preload.ts', import.meta.url).href;

const { values } = parseArgs({
  options: {
    transition: { type: 'string', multiple: true, default: transitions.map(({ name }) => name) },
    kill: { type: 'string', multiple: true, default: ['server', 'machines'] },
    from: { type: 'string', default: '0' },
    stride: { type: 'string', default: '1' },
    minutes: { type: 'string', default: 'Infinity' },
  },
});
const victims = values.kill.map((kill): Victim => {
  if (kill === 'server' || kill === 'machines') return kill;
  throw new Error(`--kill ${kill}: it is server or machines`);
});
const chosen = values.transition.map((name) => {
  const found = transitions.find((transition) => transition.name === name);
  if (found !== undefined) return found;
  throw new Error(`--transition ${name}: it is one of ${transitions.map((one) => one.name).join(', ')}`);
});

await mkdir(path.join(root, 'build'), { recursive: true });
const scratch = await mkdtemp(path.join(root, 'build', 'every-step-'));
const dataDirectory = path.join(scratch, 'data');
const socket = path.join(scratch, 'control');
const tally = new Tally();
const interruption = new AbortController();
process.once('SIGINT', () => interruption.abort());
process.once('SIGTERM', () => interruption.abort());
const end = performance.now() + Number(values.minutes) * 60_000;
const goesOn = (): boolean => performance.now() < end && !interruption.signal.aborted;
const summary: object[] = [];
try {
  const options = {
    dataDirectory,
    environment: {
      NODE_OPTIONS: `--import=${preload}`,
      [environment.socket]: socket,
      [environment.dataDirectory]: dataDirectory,
    },
  };
  const host = await Host.start(options, [], tally);
  console.error(`building the counter image (${host.accelerator})`);
  await host.build();
  const room = { host, tally };
  for (const transition of chosen) {
    for (const victim of victims) {
      if (!goesOn()) break;
      const sweep = new Sweep(room, { transition, victim, socket, dataDirectory });
      await sweep.run(Number(values.from), Number(values.stride), goesOn);
      console.error(sweep.line);
      summary.push(sweep.result);
    }
  }
  await host.stop();
  await verifyNothingLeft(dataDirectory);
} catch (error) {
  tally.fail(error);
} finally {
  await removeEverything(scratch);
}
console.log(JSON.stringify({ sweeps: summary, requests: tally.requests, losses: tally.losses }, null, 2));
process.exitCode = tally.losses.length === 0 ? 0 : 1;
