import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { ServerProcess } from '../scripts/support/server-process.ts';
import { sha256Hex } from '../src/api/sigv4/canonical.ts';
import { readClaim } from '../src/api/sigv4/claim.ts';
import { type SigningOptions, signRequest } from '../src/api/sigv4/sign.ts';
import { verifySignature } from '../src/api/sigv4/verify.ts';
import type { Microvm } from '../src/model/microvm.ts';
import { openDatabase } from '../src/store/database.ts';
import { MicrovmRepository } from '../src/store/microvms.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

const sizes = [1000, 10_000] as const;
const requestsPerRound = 100;
const warmUpRequests = 300;
const verifications = 5000;
const imageArn = 'arn:aws:lambda:us-east-1:000000000000:microvm-image:bench';

type Add = (what: string, value: number) => void;

interface Population {
  readonly rows: number;
  readonly server: ServerProcess;
  readonly agent: Agent;
  readonly ids: readonly string[];
}

/**
 * GetMicrovm and ListMicrovms of servers with few and with many VMs in their store, in turns, one request after
 * the other; and signatures verified per second. The VMs are rows of ended ones, so that none has to be run:
 * these are read from the database, where those that live are in memory.
 */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-bench-'));
  const samples: Record<string, number[]> = {};
  const add: Add = (what, value) => {
    samples[what] = [...(samples[what] ?? []), value];
  };
  const populations: Population[] = [];
  try {
    for (const rows of sizes) populations.push(await populate(path.join(directory, String(rows)), rows));
    for (const population of populations) await round(population, warmUpRequests, () => undefined);
    for (let index = 0; index < n; index += 1) {
      for (const population of populations) await round(population, requestsPerRound, add);
      add('signatures verified/s', await verificationsPerSecond());
    }
    await report('control-plane', { accelerator: 'no VM' }, samples);
  } finally {
    for (const { server, agent } of populations) {
      agent.destroy();
      await server.stop();
    }
    await rm(directory, { recursive: true });
  }
}

async function populate(dataDirectory: string, rows: number): Promise<Population> {
  const flags = ['--accelerator', 'tcg'];
  // The first start makes the directory and its store.
  await (await ServerProcess.start({ dataDirectory, flags })).stop();
  const store = await openDatabase(path.join(dataDirectory, 'dormouse.sqlite'));
  const startedAt = Date.now() - rows * 1000;
  const vms = Array.from({ length: rows }, (_, index) => endedMicrovm(startedAt + index * 1000));
  await new MicrovmRepository(store).insert(vms, { runHookPayload: null, forkedFrom: null }, undefined);
  await store.destroy();
  const server = await ServerProcess.start({ dataDirectory, flags });
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  return { rows, server, agent, ids: vms.map(({ microvmId }) => microvmId) };
}

function endedMicrovm(startedAt: number): Microvm {
  return {
    microvmId: `microvm-${randomUUID()}`,
    endpointId: randomUUID(),
    state: 'TERMINATED',
    stateReason: 'Success.',
    imageArn,
    imageVersion: '1.0',
    executionRoleArn: null,
    idlePolicy: { maxIdleDurationSeconds: 60, suspendedDurationSeconds: 3600, autoResumeEnabled: true },
    logging: null,
    maximumDurationInSeconds: 28_800,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: [],
    memoryMib: 512,
    startedAt,
    suspendedAt: null,
    terminatedAt: startedAt + 500,
  };
}

async function round(population: Population, count: number, add: Add): Promise<void> {
  const { rows, ids } = population;
  const list = '/2025-09-09/microvms?maxResults=50';
  const filtered = `${list}&imageIdentifier=${encodeURIComponent(imageArn)}`;
  let token = '';
  for (let index = 0; index < count; index += 1) {
    const id = ids[Math.floor(Math.random() * ids.length)] ?? '';
    add(`GetMicrovm, ${rows} VMs (ms)`, (await get(population, `/2025-09-09/microvms/${id}`)).ms);
    const next = token === '' ? '' : `&nextToken=${encodeURIComponent(token)}`;
    const page = await get(population, `${list}${next}`);
    add(`ListMicrovms, ${rows} VMs (ms)`, page.ms);
    token = (JSON.parse(page.body) as { readonly nextToken: string | null }).nextToken ?? '';
    add(`ListMicrovms of an image, ${rows} VMs (ms)`, (await get(population, filtered)).ms);
  }
}

/** Signed before the clock starts, which then runs until the whole answer is there. */
async function get({ server, agent }: Population, at: string): Promise<{ ms: number; body: string }> {
  const url = new URL(at, server.ready.apiEndpoint);
  const headers = signRequest(
    { method: 'GET', url },
    { credentials: server.ready, region: server.ready.region, service: 'lambda' },
  );
  const started = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  request(url, { agent, headers }, (response) => {
    text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
  })
    .on('error', reject)
    .end();
  const { status, body } = await promise;
  const ms = performance.now() - started;
  if (status !== 200) throw new Error(`${at} answered ${status}: ${body}`);
  return { ms, body };
}

/** One key and one day, as a client's requests have: what is derived from them once is derived once here. */
async function verificationsPerSecond(): Promise<number> {
  const credentials = { accessKeyId: 'AKIABENCH', secretAccessKey: 'secret' };
  const now = Date.now();
  const options: SigningOptions = { credentials, region: 'us-east-1', service: 'lambda', time: now };
  const url = new URL('http://127.0.0.1:9090/2025-09-09/microvms/microvm-1');
  const headers = signRequest({ method: 'GET', url }, options);
  const signed = { method: 'GET', path: url.pathname, query: '', headers: new Map(Object.entries(headers)) };
  const principal = { arn: 'arn:aws:iam::000000000000:root', accountId: '000000000000', userId: '0' };
  const lookup = async () => ({ ...credentials, principal, permissions: 'all' as const });
  const started = performance.now();
  for (let index = 0; index < verifications; index += 1) {
    const claim = readClaim(signed);
    await verifySignature(signed, claim, sha256Hex(Buffer.alloc(0)), {
      credentials: { lookup },
      region: options.region,
      now,
    });
  }
  return (verifications * 1000) / (performance.now() - started);
}
