import { callExtension } from '../scripts/support/extension.ts';
import type { LaunchedMicrovm } from '../scripts/support/microvm-client.ts';
import { h1Requests, h2Requests, type Target } from './endpoint/load.ts';
import { Laboratory } from './support/laboratory.ts';
import type { BenchmarkOptions } from './support/options.ts';
import { report, type Samples } from './support/results.ts';

const appPort = 8080;
/** Before them an emulated guest has not translated what a request takes. */
const warmUps = 50;

/**
 * Requests to an application in a real VM, one at a time and several at once: through the endpoint, and through a
 * published port, which is the way into the guest without TLS, tokens and HTTP.
 */
export async function run({ n }: BenchmarkOptions): Promise<void> {
  await Laboratory.with(async (laboratory) => {
    await laboratory.build();
    const { microvm, token } = await laboratory.launch();
    const endpoint = await laboratory.target(microvm, token);
    const port = await publish(laboratory, microvm);
    const samples: Record<string, readonly number[]> = {
      ...(await measure('endpoint', endpoint, n)),
      ...(await measure('published port', port, n)),
    };
    await h2Requests(endpoint, 4, warmUps);
    samples['h2 latency, endpoint (ms)'] = await h2Requests(endpoint, 1, n);
    samples['h2 requests/s, 8 streams, endpoint'] = [await rate(() => h2Requests(endpoint, 8, n))];
    await report('guest-endpoint', laboratory, samples);
    await laboratory.terminate(microvm);
  });
}

async function measure(name: string, target: Target, n: number): Promise<Samples> {
  await h1Requests(target, 4, warmUps);
  return {
    [`h1 latency, ${name} (ms)`]: await h1Requests(target, 1, n),
    [`h1 requests/s, 8 connections, ${name}`]: [await rate(() => h1Requests(target, 8, n))],
  };
}

async function rate(work: () => Promise<readonly number[]>): Promise<number> {
  const startedAt = performance.now();
  const { length } = await work();
  return length / ((performance.now() - startedAt) / 1000);
}

/** Connections to the port need no token. */
async function publish(laboratory: Laboratory, { microvmId }: LaunchedMicrovm): Promise<Target> {
  const body = { port: appPort, allow: ['127.0.0.1/32'] };
  const answer = await callExtension(laboratory.ready, 'POST', `microvms/${microvmId}/ports`, body);
  const { hostPort } = answer as { readonly hostPort: number };
  return { host: 'localhost', port: hostPort, ca: undefined, token: undefined };
}
