import { withContenders, withCrowds } from './endpoint/contenders.ts';
import { farAway } from './endpoint/far-away.ts';
import { memoryOfIdleWebSockets } from './endpoint/idle.ts';
import { h2Upload } from './endpoint/load.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report } from './support/results.ts';

const webSockets = 10_000;
const roundTripMs = 100;
const uploadBytes = 64 * 1024 * 1024;

/**
 * What is the same every time, and measured once: memory for a connection on which nothing happens, and an
 * upload over HTTP/2 from far away, which the windows limit and not the machine.
 */
export async function run(_options: BenchmarkOptions): Promise<void> {
  const samples: Record<string, number[]> = {};
  await withCrowds(async (crowds) => {
    for (const crowd of crowds) {
      const bytes = await memoryOfIdleWebSockets(crowd, webSockets);
      samples[`KiB for each of ${webSockets} idle WebSockets, ${crowd[0]?.name}`] = [bytes / 1024];
    }
  });
  await withContenders(async (contenders) => {
    for (const { name, target, speaksH2 } of contenders) {
      if (!speaksH2) continue;
      const far = await farAway(target.port, roundTripMs);
      const upload = await h2Upload({ ...target, port: far.port }, uploadBytes);
      far.close();
      samples[`h2 upload over ${roundTripMs} ms, ${name} (MB/s)`] = [upload];
    }
  });
  await report('endpoint-idle', { accelerator: 'a loopback upstream' }, samples);
}
