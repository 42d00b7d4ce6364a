import { type Contender, withContenders } from './endpoint/contenders.ts';
import { download, h1Requests, h2Requests, upload, webSocketMessages } from './endpoint/load.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

const bodyBytes = 256 * 1024 * 1024;
/** CPU time is counted in hundredths of a second: enough of them have to go by. */
const requests = 16_000;

type Add = (what: string, ...values: readonly number[]) => void;

/**
 * The data plane alone: a server of this machine stands in for the application. Endpoint, bare pass-throughs
 * on Node (one for each version of HTTP) and nginx, if installed, take turns in one run; `direct` is the application without any proxy.
 * Requests per second are per second of CPU time of the proxy, which other load does not change much.
 */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const samples: Record<string, number[]> = {};
  const add: Add = (what, ...values) => {
    samples[what] = [...(samples[what] ?? []), ...values];
  };
  await withContenders(async (contenders) => {
    for (const contender of contenders) if (contender.passesOn) await warmUp(contender);
    for (let round = 0; round < n; round += 1) {
      for (const contender of contenders) {
        if (contender.passesOn) await measureMessages(contender, add);
        if (contender.speaksH1) await measureBodies(contender, add);
      }
    }
    await report('endpoint', { accelerator: 'a loopback upstream' }, samples);
  });
}

/** As many as it takes until the compiler of a server in JavaScript is done with it. */
async function warmUp({ target, speaksH1, speaksH2 }: Contender): Promise<void> {
  if (speaksH2) await h2Requests(target, 8, 20_000);
  if (!speaksH1) return;
  await h1Requests(target, 8, 20_000);
  await webSocketMessages(target, 8, 5000);
}

async function perCpu({ party }: Contender, count: number, work: () => Promise<unknown>): Promise<number> {
  const before = await party.cpuSeconds();
  await work();
  return count / ((await party.cpuSeconds()) - before);
}

async function measureMessages(contender: Contender, add: Add): Promise<void> {
  const { name, target, speaksH1, speaksH2 } = contender;
  if (speaksH2) {
    add(`h2 latency, ${name} (ms)`, ...(await h2Requests(target, 1, 500)));
    add(
      `h2 requests/CPU s, ${name}`,
      await perCpu(contender, requests, () => h2Requests(target, 16, requests)),
    );
  }
  if (!speaksH1) return;
  add(`h1 latency, ${name} (ms)`, ...(await h1Requests(target, 1, 500)));
  add(
    `h1 requests/CPU s, ${name}`,
    await perCpu(contender, requests, () => h1Requests(target, 16, requests)),
  );
  add(`WebSocket round trip, ${name} (ms)`, ...(await webSocketMessages(target, 1, 500)));
  const echoes = await perCpu(contender, 20_000, () => webSocketMessages(target, 16, 20_000));
  add(`WebSocket echoes/CPU s, ${name}`, echoes);
}

async function measureBodies(contender: Contender, add: Add): Promise<void> {
  const { name, target } = contender;
  for (const [way, carry] of [
    ['download', download],
    ['upload', upload],
  ] as const) {
    let rate = 0;
    const ofCpu = await perCpu(contender, bodyBytes / 1e6, async () => {
      rate = await carry(target, bodyBytes);
    });
    add(`${way} MB/s, ${name}`, rate);
    add(`${way} MB/CPU s, ${name}`, ofCpu);
  }
}
