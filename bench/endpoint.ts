import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openLocalCertificates } from '../src/endpoint/certificates.ts';
import { systemClock } from '../src/model/clock.ts';
import { download, h1Requests, h2Requests, type Target, upload, webSocketMessages } from './endpoint/load.ts';
import { type Party, startNginx, startNode } from './endpoint/processes.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

const domain = 'microvm.localhost';
const bodyBytes = 256 * 1024 * 1024;

type Add = (what: string, ...values: readonly number[]) => void;

interface Contender {
  readonly name: string;
  readonly target: Target;
  readonly party: Party;
  readonly speaksH2: boolean;
}

/**
 * The data plane alone: a server of this machine stands in for the application. Endpoint, a bare pass-through
 * on Node and nginx, if installed, take turns in one run; `direct` is the application without any proxy.
 * Requests per second are per second of CPU time of the proxy, which other load does not change much.
 */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-bench-'));
  const parties: Party[] = [];
  const samples: Record<string, number[]> = {};
  const add: Add = (what, ...values) => {
    samples[what] = [...(samples[what] ?? []), ...values];
  };
  try {
    const contenders = await start(directory, parties);
    for (const contender of contenders) await warmUp(contender);
    for (let round = 0; round < n; round += 1) {
      for (const contender of contenders) await measure(contender, add);
    }
    await report('endpoint', { accelerator: 'a loopback upstream' }, samples);
  } finally {
    for (const party of parties.reverse()) await party.stop();
    await rm(directory, { recursive: true });
  }
}

async function start(directory: string, parties: Party[]): Promise<Contender[]> {
  const certificates = await openLocalCertificates({ directory, domain, clock: systemClock });
  const ca = await readFile(certificates.caCertificatePath, 'utf8');
  const started = (party: Party): Party => {
    parties.push(party);
    return party;
  };
  const upstream = started(await startNode('upstream'));
  const settings = { upstreamPort: upstream.ready.port, directory, domain };
  const contenders: Contender[] = [contender('direct', upstream, undefined, false)];
  const nginx = await startNginx(settings);
  if (nginx === undefined) console.log('nginx is not installed: no comparison with it');
  else contenders.push(contender('nginx', started(nginx), ca, true));
  contenders.push(contender('bare node', started(await startNode('passthrough', settings)), ca, false));
  contenders.push(contender('endpoint', started(await startNode('endpoint', settings)), ca, true));
  return contenders;
}

function contender(name: string, party: Party, ca: string | undefined, speaksH2: boolean): Contender {
  const { port, host = `any.${domain}`, token } = party.ready;
  return { name, party, speaksH2, target: { port, host, ca, token } };
}

async function warmUp({ target, speaksH2 }: Contender): Promise<void> {
  await h1Requests(target, 8, 3000);
  if (speaksH2) await h2Requests(target, 8, 2000);
  await webSocketMessages(target, 8, 2000);
}

async function measure({ name, target, party, speaksH2 }: Contender, add: Add): Promise<void> {
  const perCpu = async (count: number, work: () => Promise<unknown>): Promise<number> => {
    const before = await party.cpuSeconds();
    await work();
    return count / ((await party.cpuSeconds()) - before);
  };
  add(`h1 latency, ${name} (ms)`, ...(await h1Requests(target, 1, 500)));
  add(`h1 requests/CPU s, ${name}`, await perCpu(6000, () => h1Requests(target, 16, 6000)));
  if (speaksH2) {
    add(`h2 latency, ${name} (ms)`, ...(await h2Requests(target, 1, 500)));
    add(`h2 requests/CPU s, ${name}`, await perCpu(6000, () => h2Requests(target, 16, 6000)));
  }
  add(`WebSocket round trip, ${name} (ms)`, ...(await webSocketMessages(target, 1, 500)));
  add(`WebSocket echoes/CPU s, ${name}`, await perCpu(20_000, () => webSocketMessages(target, 16, 20_000)));
  add(`download MB/s, ${name}`, await download(target, bodyBytes));
  add(`download MB/CPU s, ${name}`, await perCpu(bodyBytes / 1e6, () => download(target, bodyBytes)));
  add(`upload MB/s, ${name}`, await upload(target, bodyBytes));
}
