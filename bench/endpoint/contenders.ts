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
  readonly speaksH2: boolean;
  /** Passes requests on, and so WebSockets and everything small; otherwise it only carries large bodies. */
  readonly passesOn: boolean;
}

/**
 * Runs `work` with the endpoint, a bare pass-through on Node and nginx, if it is installed, before one
 * application; `direct` is the application without any proxy, and `TLS alone` a server that answers from memory.
 */
export async function withContenders(
  work: (contenders: readonly Contender[]) => Promise<void>,
): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-bench-'));
  const parties: Party[] = [];
  try {
    await work(await start(directory, parties));
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
  const alone = contender('TLS alone', started(await startNode('tls', settings)), ca, false);
  contenders.push({ ...alone, passesOn: false });
  contenders.push(contender('endpoint', started(await startNode('endpoint', settings)), ca, true));
  return contenders;
}

function contender(name: string, party: Party, ca: string | undefined, speaksH2: boolean): Contender {
  const { port, host = `any.${domain}`, token } = party.ready;
  return { name, party, speaksH2, passesOn: true, target: { port, host, ca, token } };
}
