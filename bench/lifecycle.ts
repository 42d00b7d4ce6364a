import type { IdlePolicy } from '@aws-sdk/client-lambda-microvms';
import type { TraceSummary } from '../src/telemetry/trace.ts';
import { BareVm } from './support/bare-engine.ts';
import { Laboratory, timed } from './support/laboratory.ts';
import { type BenchmarkOptions, rounds } from './support/options.ts';
import { report, SampleSet } from './support/results.ts';

const idlePolicy: IdlePolicy = {
  maxIdleDurationSeconds: 3600,
  suspendedDurationSeconds: 3600,
  autoResumeEnabled: true,
};

/** Without anything kept, as a server is by default; then with a VM kept ready and sleeping ones kept paused. */
const variants = [
  { name: 'plain', flags: [], keptReady: 0 },
  { name: 'kept', flags: ['--warm-pool', 'fixed:1', '--wake-cache', '1G'], keptReady: 1 },
] as const;

/**
 * Launch, suspend and wake through a server, and by the VMM alone in the same run and in turns, on the same
 * snapshot: how much the server adds, and how much what it keeps saves.
 */
export async function run(options: BenchmarkOptions): Promise<void> {
  for (const variant of variants) {
    await Laboratory.with((laboratory) => measure(laboratory, variant, options), variant.flags);
  }
}

async function measure(
  laboratory: Laboratory,
  { name, keptReady }: (typeof variants)[number],
  options: BenchmarkOptions,
): Promise<void> {
  const set = new SampleSet();
  await laboratory.build();
  // Makes the version known as one that is launched from, and both ways warm.
  await laboratory.terminate((await laboratory.launch()).microvm);
  const bare = await BareVm.prepare(laboratory.snapshotOf(), laboratory.scratch('bare'));
  for (const _ of rounds(options, 1 / variants.length)) {
    await viaServer(laboratory, keptReady, set.add);
    await byVmm(bare, set.add);
  }
  const ratios = ['launch', 'launch to first 200', 'suspend', 'wake', 'wake to first 200'].map(
    (what) => [what, set.ratio(`server: ${what} (ms)`, `VMM alone: ${what} (ms)`)] as const,
  );
  await report(`lifecycle-${name}`, laboratory, set.samples, Object.fromEntries(ratios));
}

type Add = (what: string, value: number) => void;

/** Requests go over a kept connection to the endpoint, so what is measured is the VM's way and not TLS's. */
async function viaServer(laboratory: Laboratory, keptReady: number, add: Add): Promise<void> {
  const { client } = laboratory;
  await laboratory.untilKeptReady(keptReady);
  const startedAt = performance.now();
  const microvm = await client.run(laboratory.imageArn('counter'), idlePolicy);
  await client.get(microvm, await client.token(microvm.microvmId));
  add('server: launch to first 200 (ms)', performance.now() - startedAt);
  add('server: launch (ms)', await laboratory.took(microvm, 'launch'));
  const { proportionalBytes } = await laboratory.inspect(microvm);
  if (proportionalBytes !== null) add('PSS of a VM that has answered (MiB)', proportionalBytes / 2 ** 20);
  await client.suspend(microvm.microvmId);
  await client.until(microvm.microvmId, 'SUSPENDED');
  const asleep = await laboratory.inspect(microvm);
  const { suspend } = asleep.traces;
  if (suspend === undefined) throw new Error('there is no trace of the suspend');
  add('server: suspend (ms)', suspend.durationMs);
  add('server: suspend, from stopped to durable (ms)', stoppedToDurable(suspend));
  add('disk of a suspended VM (MB)', asleep.diskBytes / 1e6);
  const token = await client.token(microvm.microvmId);
  const answered = await timed(() => client.get(microvm, token));
  add('server: wake to first 200 (ms)', answered);
  add('server: wake (ms)', await laboratory.took(microvm, 'resume'));
  await laboratory.terminate(microvm);
}

/** How long the guest stands still for a suspend that is woken at once. */
function stoppedToDurable({ steps }: TraceSummary): number {
  const stop = steps.find(({ name }) => name === 'virtual CPUs stopped');
  const durable = steps.find(({ name }) => name === 'made durable');
  if (stop === undefined || durable === undefined) throw new Error('the suspend has other steps');
  return durable.startMs + durable.durationMs - stop.startMs;
}

async function byVmm(bare: BareVm, add: Add): Promise<void> {
  const launched = await bare.launch();
  add('VMM alone: launch (ms)', launched);
  add('VMM alone: launch to first 200 (ms)', launched + (await bare.get()));
  add('VMM alone: suspend (ms)', await bare.suspend());
  const woken = await bare.resume();
  add('VMM alone: wake (ms)', woken);
  add('VMM alone: wake to first 200 (ms)', woken + (await bare.get()));
  // Last, because it makes durable what a suspend right after it would have had to.
  add('VMM alone: pause of a fork (ms)', await bare.fork());
  await bare.end();
}
