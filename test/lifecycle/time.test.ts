import 'reflect-metadata';
import assert from 'node:assert/strict';
import { webcrypto } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { createServer, type Server } from 'node:tls';
import { LambdaMicrovmsClient, type RunMicrovmCommandOutput } from '@aws-sdk/client-lambda-microvms';
import { S3Client } from '@aws-sdk/client-s3';
import * as x509 from '@peculiar/x509';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { loadConfig } from '../../src/config.ts';
import { type RunningServer, startServer } from '../../src/main.ts';
import { type Clock, systemClock } from '../../src/model/clock.ts';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import {
  processesUsing,
  removeDataDirectory,
  type ServerClients,
  temporaryDirectory,
} from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';
import { witnessProgram } from '../support/witness-guest.ts';

const dayMs = 24 * 3600 * 1000;
/** What the clock of a guest may be off by right after it was set. */
const toleranceMs = 50;
const samples = 8;
const month = 30 * 24 * 3600;
const host = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find((entry) => entry.family === 'IPv4' && !entry.internal)?.address;

/** A host on which a week can go by between two requests. */
class WeekClock implements Clock {
  #behindMs = 7 * dayMs;

  now(): number {
    return systemClock.now() - this.#behindMs;
  }

  schedule(delayMs: number, callback: () => void): () => void {
    return systemClock.schedule(delayMs, callback);
  }

  passWeek(): void {
    this.#behindMs = 0;
  }

  /** Clients are where the server is. */
  get offsetMs(): number {
    return -this.#behindMs;
  }
}

interface Clocks {
  readonly wall: number;
  readonly monotonic: number;
}

describe('what time a microVM has', { timeout: 600_000 }, () => {
  const clock = new WeekClock();
  let directory: string;
  let server: RunningServer;
  let vms: CounterVms;
  let vm: RunMicrovmCommandOutput;
  const services: Server[] = [];

  function clients(): ServerClients {
    const { region, accessKeyId, secretAccessKey, apiEndpoint, s3Endpoint } = server.ready;
    const common = {
      region,
      credentials: { accessKeyId, secretAccessKey },
      systemClockOffset: clock.offsetMs,
    };
    // A client for each call: one that has seen an answer goes by the date in it, which is this machine's.
    return {
      ready: server.ready,
      get client() {
        return new LambdaMicrovmsClient({ endpoint: apiEndpoint, ...common });
      },
      get s3() {
        return new S3Client({ endpoint: s3Endpoint, forcePathStyle: true, ...common });
      },
    };
  }

  before(async () => {
    assert.ok(host, 'this machine has no network interface');
    directory = await temporaryDirectory();
    const flags = {
      dataDirectory: directory,
      port: 0,
      endpointPort: 0,
      wakeCacheMib: 1024,
      logLevel: 'error',
    } as const;
    server = await startServer(loadConfig({ ...flags, egressAllow: [`${host}/32`] }, process.env), clock);
    const context = {
      Dockerfile: 'FROM dormouse/python:3.11\nCOPY app.py /app.py\nCMD ["python3", "/app.py"]\n',
      'app.py': witnessProgram,
    };
    const imageArn = await createImage(clients(), 'time', await zip(context));
    assert.deepEqual(await builtImage(clients(), imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(clients(), imageArn);
    vm = await vms.run({
      idlePolicy: { maxIdleDurationSeconds: 3600, suspendedDurationSeconds: month, autoResumeEnabled: true },
      maximumDurationInSeconds: month,
    });
  });

  after(async () => {
    for (const service of services) service.close();
    await server?.close();
    await removeDataDirectory(directory);
  });

  async function ask<Answer>(path: string, query: Record<string, string> = {}, of = vm): Promise<Answer> {
    const token = await vms.tokenFor(of.microvmId ?? '');
    const url = `${path}?${new URLSearchParams(query)}`;
    const answer = await callEndpoint(server.ready, of.endpoint ?? '', { token, path: url });
    assert.equal(answer.status, 200, answer.body);
    return JSON.parse(answer.body) as Answer;
  }

  /** The best of some samples, as with NTP: what a request's way may explain is given to the guest. */
  async function assertRight(when: string, of = vm): Promise<string> {
    let best = { offset: 0, uncertainty: Number.POSITIVE_INFINITY };
    for (let sample = 0; sample < samples; sample += 1) {
      const sent = clock.now();
      const { wall } = await ask<Clocks>('/clocks', {}, of);
      const received = clock.now();
      const uncertainty = (received - sent) / 2;
      if (uncertainty < best.uncertainty) best = { offset: wall * 1000 - sent - uncertainty, uncertainty };
    }
    const text = `${when}: off by ${best.offset.toFixed(1)} ms, known to ${best.uncertainty.toFixed(1)} ms`;
    assert.ok(Math.abs(best.offset) <= toleranceMs + best.uncertainty, text);
    return text;
  }

  /** A TLS service with a certificate for some days, counted from a week ago; resolves with what a guest says to it. */
  async function verdictOn(fromDay: number, toDay: number): Promise<string> {
    const weekAgo = systemClock.now() - 7 * dayMs;
    const { key, certificate } = await makeCertificate(weekAgo + fromDay * dayMs, weekAgo + toDay * dayMs);
    const service = createServer({ key, cert: certificate }, (socket) => socket.end());
    service.on('tlsClientError', () => undefined);
    services.push(service);
    service.listen(0, host);
    await once(service, 'listening');
    const { port } = service.address() as AddressInfo;
    const query = { host: host ?? '', port: String(port), trusted: certificate };
    return (await ask<{ outcome: string }>('/tls', query)).outcome;
  }

  test('right after a launch, and before a week goes by', async (t) => {
    t.diagnostic(await assertRight('after a launch'));
    assert.equal(await verdictOn(-1, 3), 'verified');
    assert.equal(await verdictOn(6, 8), 'certificate is not yet valid');
  });

  test('right after a fork', async (t) => {
    const url = new URL(`/dormouse/v1/microvms/${vm.microvmId}/fork`, server.ready.apiEndpoint);
    const body = JSON.stringify({ count: 1 });
    const scope = { credentials: server.ready, region: server.ready.region, service: 'lambda' };
    const headers = signRequest({ method: 'POST', url, body }, { ...scope, time: clock.now() });
    const response = await fetch(url, { method: 'POST', headers, body });
    const { items } = (await response.json()) as { items: RunMicrovmCommandOutput[] };
    const [child] = items;
    assert.ok(child);
    t.diagnostic(await assertRight('after a fork', child));
    await vms.terminate(child);
  });

  test('right after a wake from the cache', async (t) => {
    await vms.suspend(vm);
    t.diagnostic(await assertRight('after a wake from the cache'));
  });

  test('right after a week of sleep: certificates are judged by today, and what was due is done', async (t) => {
    const due = Math.round(clock.now() / 1000) + 3 * 24 * 3600;
    await ask('/set-alarms', { at: String(due) });
    const before = await ask<Clocks>('/clocks');
    await vms.suspend(vm);
    for (const pid of await processesUsing(`${directory}/microvms/${vm.microvmId}`))
      process.kill(pid, 'SIGKILL');
    clock.passWeek();
    vms.server = clients();
    t.diagnostic(await assertRight('after a week'));
    assert.equal(await verdictOn(6, 8), 'verified');
    assert.equal(await verdictOn(-1, 3), 'certificate has expired');
    const alarms = await ask<{ plain?: number; cancelled?: string }>('/alarms');
    assert.ok((alarms.plain ?? 0) > due + 3 * 24 * 3600, 'a timer for a moment in the week fired today');
    assert.equal(alarms.cancelled, 'ECANCELED', 'who asks for it is told that the clock was set');
    const now = await ask<Clocks>('/clocks');
    assert.ok(now.monotonic - before.monotonic < 3600, 'CLOCK_MONOTONIC stood still');
  });
});

async function makeCertificate(from: number, to: number): Promise<{ key: string; certificate: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: ['service.test'] }],
    serialNumber: '01',
    notBefore: new Date(from),
    notAfter: new Date(to),
    signingAlgorithm: algorithm,
    keys,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'service.test' }])],
  });
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { key: x509.PemConverter.encode(der, 'PRIVATE KEY'), certificate: made.toString('pem') };
}
