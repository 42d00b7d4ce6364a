import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ServerProcess } from '../scripts/support/server-process.ts';
import { newMicrovm } from '../src/microvms/new-microvm.ts';
import type { Microvm } from '../src/model/microvm.ts';
import { openDatabase } from '../src/store/database.ts';
import { MicrovmRepository } from '../src/store/microvms.ts';
import { timed } from './support/laboratory.ts';
import { type BenchmarkOptions, rounds } from './support/options.ts';
import { report, SampleSet } from './support/results.ts';

const counts = [0, 1000, 10_000] as const;
const settleMs = 3_000;
const observeMs = 6_000;
const ticksPerSecond = 100;

/**
 * What sleeping microVMs cost a server: its start, its memory and its CPU while nothing happens. They are rows and
 * directories as suspends leave them, so that none has to be run.
 */
export async function run(options: BenchmarkOptions): Promise<void> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-bench-'));
  const { samples, add } = new SampleSet();
  try {
    for (const count of counts) {
      const dataDirectory = path.join(directory, String(count));
      await populate(dataDirectory, count);
      for (const _ of rounds(options, 1 / counts.length)) await observe(dataDirectory, count, add);
    }
    await report('sleeping', { accelerator: 'no VM' }, samples);
  } finally {
    await rm(directory, { recursive: true });
  }
}

async function observe(dataDirectory: string, count: number, add: (what: string, value: number) => void) {
  let server: ServerProcess | undefined;
  const started = await timed(async () => {
    server = await start(dataDirectory);
  });
  if (server?.pid === undefined) throw new Error('the server has no process');
  try {
    add(`${count} sleeping: start of the server (ms)`, started);
    await delay(settleMs);
    const before = await cpuSeconds(server.pid);
    await delay(observeMs);
    const used = (await cpuSeconds(server.pid)) - before;
    add(`${count} sleeping: idle CPU (%)`, (used * 100_000) / observeMs);
    add(`${count} sleeping: memory of the server (MiB)`, (await residentBytes(server.pid)) / 2 ** 20);
  } finally {
    await server.stop();
  }
}

async function start(dataDirectory: string): Promise<ServerProcess> {
  return await ServerProcess.start({ dataDirectory, flags: ['--accelerator', 'tcg'] });
}

async function populate(dataDirectory: string, count: number): Promise<void> {
  // The first start makes the directory and its store.
  await (await start(dataDirectory)).stop();
  const store = await openDatabase(path.join(dataDirectory, 'dormouse.sqlite'));
  const vms = Array.from({ length: count }, () => sleepingMicrovm(Date.now()));
  for (let from = 0; from < count; from += 500) {
    const some = vms.slice(from, from + 500);
    await new MicrovmRepository(store).insert(some, { runHookPayload: null, forkedFrom: null }, undefined);
    for (const { microvmId } of some) await writeDifference(path.join(dataDirectory, 'microvms', microvmId));
  }
  await store.destroy();
}

function sleepingMicrovm(now: number): Microvm {
  const settings = {
    imageArn: 'arn:aws:lambda:us-east-1:000000000000:microvm-image:bench',
    imageVersion: '1.0',
    executionRoleArn: null,
    idlePolicy: { maxIdleDurationSeconds: 60, suspendedDurationSeconds: 86_400, autoResumeEnabled: true },
    logging: null,
    maximumDurationInSeconds: 864_000,
    ingressNetworkConnectors: [],
    egressNetworkConnectors: [],
    memoryMib: 128,
  };
  return { ...newMicrovm(settings, now), state: 'SUSPENDED', suspendedAt: now };
}

/** What a suspend leaves, with next to nothing in it. */
async function writeDifference(microvm: string): Promise<void> {
  const directory = path.join(microvm, 'difference');
  await mkdir(directory, { recursive: true });
  const stats = { memoryBytes: 0, diskBytes: 0, deviceStateBytes: 0 };
  const manifest = {
    formatVersion: 1,
    snapshotId: randomUUID(),
    memoryFileBytes: 0,
    deviceStateDigest: '',
    diskFileBytes: 0,
    stats,
  };
  await Promise.all([
    writeFile(path.join(directory, 'manifest.json'), JSON.stringify(manifest)),
    writeFile(path.join(directory, 'memory'), ''),
    writeFile(path.join(directory, 'device-state'), ''),
    writeFile(path.join(microvm, 'disk.qcow2'), ''),
  ]);
}

async function cpuSeconds(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024;
}
