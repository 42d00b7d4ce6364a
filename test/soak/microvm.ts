import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { processesIn } from '../../scripts/support/leftovers.ts';
import type { LaunchedMicrovm } from '../../scripts/support/microvm-client.ts';
import type { Host } from './host.ts';

const answerSchema = z.object({
  memory: z.number(),
  disk: z.number(),
  instance: z.string(),
  hostname: z.string(),
  random: z.string(),
});
type Answer = z.output<typeof answerSchema>;

const forkEvery = 25;
const killAsleepShare = 0.1;
const killAwakeShare = 0.01;
const retryMs = 50;
const longestRetryMs = 120_000;

/** What is counted over all microVMs. */
export interface Tally {
  cycles: number;
  requests: number;
  forks: number;
  serversKilled: number;
  machinesKilledAwake: number;
  machinesKilledAsleep: number;
  readonly losses: string[];
  /** Random output of every guest, ever. */
  readonly drawn: Set<string>;
}

/** One microVM that is put to sleep and woken by requests, and replaced when it was killed awake. */
export class SoakedMicrovm {
  readonly #host: Host;
  readonly #tally: Tally;
  #microvm: LaunchedMicrovm | undefined;
  #last: Answer | undefined;
  /** Requests that failed: the application may have counted them. */
  #uncertain = 0;
  #cycle = 0;

  constructor(host: Host, tally: Tally) {
    this.#host = host;
    this.#tally = tally;
  }

  async cycle(): Promise<void> {
    this.#microvm ??= await this.#begin();
    const { microvmId } = this.#microvm;
    await this.#host.insist((client) => client.suspend(microvmId));
    const state = await this.#host.reaches(microvmId, 'SUSPENDED', 'RUNNING', 'TERMINATED');
    if (state === 'TERMINATED') return this.#lost('by a suspend');
    if (state === 'SUSPENDED' && Math.random() < killAsleepShare) {
      const killed = await this.#killMachine();
      if (killed > 0) this.#tally.machinesKilledAsleep += 1;
    }
    await this.#request(this.#microvm);
    this.#tally.cycles += 1;
    this.#cycle += 1;
    if (this.#cycle % forkEvery === 0) await this.#fork(this.#microvm);
    if (Math.random() < killAwakeShare) await this.#killAwake(microvmId);
  }

  async end(): Promise<void> {
    const microvm = this.#microvm;
    if (microvm !== undefined) await this.#host.insist((client) => client.terminate(microvm.microvmId));
  }

  async #begin(): Promise<LaunchedMicrovm> {
    const microvm = await this.#host.launch();
    this.#last = undefined;
    this.#uncertain = 0;
    await this.#request(microvm);
    return microvm;
  }

  async #request(microvm: LaunchedMicrovm): Promise<void> {
    const deadline = performance.now() + longestRetryMs;
    for (;;) {
      try {
        this.#verify(microvm, answerSchema.parse(await this.#host.request(microvm)));
        return;
      } catch (error) {
        if (error instanceof LossError || performance.now() > deadline) throw error;
        this.#uncertain += 1;
        const state = await this.#host.insist((client) => client.state(microvm.microvmId));
        if (state === 'TERMINATED') return this.#lost(`at a request: ${String(error)}`);
      }
      await delay(retryMs);
    }
  }

  #verify(microvm: LaunchedMicrovm, answer: Answer): void {
    this.#tally.requests += 1;
    const last = this.#last;
    const advance = answer.memory - (last?.memory ?? answer.memory - 1);
    if (advance < 1 || advance > 1 + this.#uncertain) {
      throw new LossError(`counts ${answer.memory} after ${last?.memory}, ${this.#uncertain} uncertain`);
    }
    if (answer.memory !== answer.disk) {
      throw new LossError(`memory counts ${answer.memory}, the disk ${answer.disk}`);
    }
    if (last !== undefined && last.instance !== answer.instance)
      throw new LossError('another process answers');
    if (answer.hostname !== microvm.microvmId) throw new LossError(`is named ${answer.hostname}`);
    if (this.#tally.drawn.has(answer.random)) throw new LossError('drew what another guest had drawn');
    this.#tally.drawn.add(answer.random);
    this.#last = answer;
    this.#uncertain = 0;
  }

  /** A child goes on from its parent, as somebody else. */
  async #fork(parent: LaunchedMicrovm): Promise<void> {
    const child = await this.#host.fork(parent).catch(() => undefined);
    // The server was killed meanwhile: whatever of the fork is there ends with the run.
    if (child === undefined) return;
    const soaked = new SoakedMicrovm(this.#host, this.#tally);
    soaked.#last = this.#last;
    soaked.#microvm = child;
    await soaked.#request(child);
    await soaked.end();
    this.#tally.forks += 1;
  }

  async #killMachine(): Promise<number> {
    const pids = await processesIn(this.#host.directoryOf(this.#microvm?.microvmId ?? ''));
    for (const pid of pids) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
    }
    return pids.length;
  }

  /** What only the process held is gone with it; the VM must say so, and is replaced. */
  async #killAwake(microvmId: string): Promise<void> {
    if ((await this.#killMachine()) === 0) return;
    await this.#host.reaches(microvmId, 'TERMINATED');
    this.#tally.machinesKilledAwake += 1;
    this.#microvm = undefined;
  }

  #lost(how: string): void {
    this.#tally.losses.push(`${this.#microvm?.microvmId} was lost ${how}`);
    this.#microvm = undefined;
  }
}

/** What a microVM had acknowledged is not there any more. */
export class LossError extends Error {
  override readonly name = 'LossError';
}
