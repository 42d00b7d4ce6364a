import { readFile } from 'node:fs/promises';
import { withContenders } from './endpoint/contenders.ts';
import { farAway } from './endpoint/far-away.ts';
import { memoryOfIdleWebSockets } from './endpoint/idle.ts';
import { h2Upload } from './endpoint/load.ts';
import { report } from './support/results.ts';

const webSockets = 10_000;
/** Files that a proxy needs beside its connections. */
const otherFiles = 200;
const roundTripMs = 100;
const uploadBytes = 64 * 1024 * 1024;

/**
 * What is the same every time, and measured once: memory for a connection on which nothing happens, and an
 * upload over HTTP/2 from far away, which the windows limit and not the machine.
 */
export async function run(): Promise<void> {
  const count = Math.min(webSockets, Math.floor(((await mostOpenFiles()) - otherFiles) / 2));
  const samples: Record<string, number[]> = {};
  await withContenders(async (contenders) => {
    for (const { name, target, party, speaksH2 } of contenders) {
      if (speaksH2) {
        const far = await farAway(target.port, roundTripMs);
        const upload = await h2Upload({ ...target, port: far.port }, uploadBytes);
        far.close();
        samples[`h2 upload over ${roundTripMs} ms, ${name} (MB/s)`] = [upload];
      }
      if (target.ca === undefined) continue;
      const bytes = await memoryOfIdleWebSockets(target, party, count);
      samples[`KiB for each of ${count} idle WebSockets, ${name}`] = [bytes / 1024];
    }
    await report('endpoint-idle', { accelerator: 'a loopback upstream' }, samples);
  });
}

/** A proxy has two files for each connection, and Node takes what the user may have. */
async function mostOpenFiles(): Promise<number> {
  const line = /^Max open files\s+\S+\s+(\d+)/m.exec(await readFile('/proc/self/limits', 'utf8'));
  return Number(line?.[1] ?? 1024);
}
