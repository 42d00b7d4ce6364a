import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { openLocalCertificates } from '../../src/endpoint/certificates.ts';
import { systemClock } from '../../src/model/clock.ts';
import type { Target } from './load.ts';
import { type Party, startNginx, startNode } from './processes.ts';

const domain = 'microvm.localhost';

export interface Contender {
  readonly name: string;
  readonly target: Target;
  readonly party: Party;
  readonly speaksH1: boolean;
  readonly speaksH2: boolean;
  /** Passes requests on, and so WebSockets and everything small; otherwise it only carries large bodies. */
  readonly passesOn: boolean;
}

/**
 * Runs `work` with the endpoint, bare pass-throughs on Node and nginx, if it is installed, before one
 * application; `direct` is the application without any proxy, and `TLS alone` a server that answers from memory.
 */
export async function withContenders(
  work: (contenders: readonly Contender[]) => Promise<void>,
): Promise<void> {
  await withParties(contendersFor, work);
}

/**
 * The same for very many connections, of which a proxy has two files each and may have too few: nginx has two
 * workers, the bare pass-through is there twice, and connections of the endpoint into its microVM are what they
 * are in the product, streams of one session.
 */
export async function withCrowds(
  work: (crowds: readonly (readonly Contender[])[]) => Promise<void>,
): Promise<void> {
  await withParties(crowdsFor, work);
}

interface Ground {
  readonly directory: string;
  readonly ca: string;
  /** Stops with the benchmark. */
  started(party: Party): Party;
}

async function withParties<Present>(
  start: (ground: Ground) => Promise<Present>,
  work: (present: Present) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-bench-'));
  const parties: Party[] = [];
  try {
    const certificates = await openLocalCertificates({ directory, domain, clock: systemClock });
    const ca = await readFile(certificates.caCertificatePath, 'utf8');
    const started = (party: Party): Party => {
      parties.push(party);
      return party;
    };
    await work(await start({ directory, ca, started }));
  } finally {
    for (const party of parties.reverse()) await party.stop();
    await rm(directory, { recursive: true });
  }
}

async function contendersFor({ directory, ca, started }: Ground): Promise<Contender[]> {
  const upstream = started(await startNode('upstream'));
  const settings = { upstreamPort: upstream.ready.port, directory, domain };
  const contenders: Contender[] = [contender('direct', upstream, undefined, false)];
  const nginx = await startNginx(settings);
  if (nginx === undefined) console.log('nginx is not installed: no comparison with it');
  else contenders.push(contender('nginx', started(nginx), ca, true));
  contenders.push(contender('bare node', started(await startNode('passthrough', settings)), ca, false));
  const bareH2 = contender('bare node:http2', started(await startNode('passthrough-h2', settings)), ca, true);
  contenders.push({ ...bareH2, speaksH1: false });
  const alone = contender('TLS alone', started(await startNode('tls', settings)), ca, false);
  contenders.push({ ...alone, passesOn: false });
  contenders.push(contender('endpoint', started(await startNode('endpoint', settings)), ca, true));
  return contenders;
}

async function crowdsFor({ directory, ca, started }: Ground): Promise<Contender[][]> {
  const upstream = started(await startNode('upstream'));
  const settings = { upstreamPort: upstream.ready.port, directory, domain };
  const crowds: Contender[][] = [];
  const nginx = await startNginx(settings, 2);
  if (nginx === undefined) console.log('nginx is not installed: no comparison with it');
  else crowds.push([contender('nginx', started(nginx), ca, true)]);
  const bare = [await startNode('passthrough', settings), await startNode('passthrough', settings)];
  crowds.push(bare.map((party) => contender('bare node', started(party), ca, false)));
  crowds.push([contender('TLS alone', started(await startNode('tls', settings)), ca, false)]);
  crowds.push([contender('endpoint', started(await startNode('endpoint-to-guest', settings)), ca, true)]);
  return crowds;
}

function contender(name: string, party: Party, ca: string | undefined, speaksH2: boolean): Contender {
  const { port, host = `any.${domain}`, token } = party.ready;
  return { name, party, speaksH1: true, speaksH2, passesOn: true, target: { port, host, ca, token } };
}
