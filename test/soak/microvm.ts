import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { processesIn } from '../../scripts/support/leftovers.ts';
import type { LaunchedMicrovm } from '../../scripts/support/microvm-client.ts';
import { SleepingFiles } from './files.ts';
import type { Host } from './host.ts';
import { LossError, type Tally } from './tally.ts';

const answerSchema = z.object({
  memory: z.number(),
  disk: z.number(),
  /** Of a file that stays open. A fake machine has none. */
  openFileOffset: z.number().optional(),
  instance: z.string(),
  hostname: z.string(),
  random: z.string(),
});
type Answer = z.output<typeof answerSchema>;

const forkEvery = 25;
/** Requests at once that wake a microVM, in one cycle of {@link crowdEvery}. */
const crowd = 3;
const crowdEvery = 5;
/** Of the wakes: while the suspend before is still under way. */
const wakeAtOnceShare = 0.2;
const killAsleepShare = 0.05;
const killAwakeShare = 0.01;
const retryMs = 50;
const longestRetryMs = 120_000;

interface Subject {
  readonly launched: LaunchedMicrovm;
  readonly files: SleepingFiles;
}

/** One microVM that is put to sleep and woken by requests, and replaced when it was killed awake. */
export class SoakedMicrovm {
  readonly #host: Host;
  readonly #tally: Tally;
  #microvm: Subject | undefined;
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
    const { launched, files } = this.#microvm;
    const { microvmId } = launched;
    await this.#host.insist((client) => client.suspend(microvmId));
    if (Math.random() >= wakeAtOnceShare) {
      const state = await this.#host.reaches(microvmId, 'SUSPENDED', 'RUNNING', 'TERMINATED');
      if (state === 'TERMINATED') return this.#lost('by a suspend');
      if (state === 'SUSPENDED') await this.#inspectAsleep(files);
    }
    this.#cycle += 1;
    await this.#requests(launched, this.#cycle % crowdEvery === 0 ? crowd : 1);
    this.#tally.cycles += 1;
    if (this.#microvm === undefined) return;
    if (this.#cycle % forkEvery === 0) await this.#fork(launched);
    if (Math.random() < killAwakeShare) await this.#killAwake(microvmId);
  }

  async end(): Promise<void> {
    const microvmId = this.#microvm?.launched.microvmId;
    if (microvmId === undefined) return;
    await this.#host.insist((client) => client.terminate(microvmId));
    await this.#host.reaches(microvmId, 'TERMINATED');
  }

  async #begin(): Promise<Subject> {
    const launched = await this.#host.launch();
    this.#last = undefined;
    this.#uncertain = 0;
    await this.#requests(launched, 1);
    return { launched, files: new SleepingFiles(this.#host.directoryOf(launched.microvmId)) };
  }

  /** What sleeps is on the disk, as large as ever, and needs no process. */
  async #inspectAsleep(files: SleepingFiles): Promise<void> {
    this.#tally.largestDifferenceBytes = Math.max(this.#tally.largestDifferenceBytes, await files.verify());
    if (Math.random() >= killAsleepShare) return;
    const killed = await this.#killMachine();
    if (killed > 0) this.#tally.machinesKilledAsleep += 1;
  }

  /** So many requests at once, each until it was answered. */
  async #requests(microvm: LaunchedMicrovm, count: number): Promise<void> {
    const attempts = Array.from({ length: count }, () => this.#insistOnAnswer(microvm));
    const answers = (await Promise.all(attempts)).filter((answer) => answer !== undefined);
    for (const answer of answers.toSorted((a, b) => a.memory - b.memory)) this.#verify(microvm, answer);
    this.#uncertain = 0;
  }

  async #insistOnAnswer(microvm: LaunchedMicrovm): Promise<Answer | undefined> {
    const deadline = performance.now() + longestRetryMs;
    for (;;) {
      try {
        return answerSchema.parse(await this.#host.request(microvm));
      } catch (error) {
        if (performance.now() > deadline) throw error;
        this.#uncertain += 1;
        const state = await this.#host.insist((client) => client.state(microvm.microvmId));
        if (state === 'TERMINATED') {
          this.#lost(`at a request: ${String(error)}`);
          return undefined;
        }
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
    this.#uncertain -= advance - 1;
    if (answer.memory !== answer.disk) {
      throw new LossError(`memory counts ${answer.memory}, the disk ${answer.disk}`);
    }
    if (last !== undefined) {
      if (last.instance !== answer.instance) throw new LossError('another process answers');
      if ((answer.openFileOffset ?? 1) <= (last.openFileOffset ?? 0))
        throw new LossError('the open file went back');
    }
    if (answer.hostname !== microvm.microvmId) throw new LossError(`is named ${answer.hostname}`);
    if (this.#tally.drawn.has(answer.random)) throw new LossError('drew what another guest had drawn');
    this.#tally.drawn.add(answer.random);
    this.#last = answer;
  }

  /** A child goes on from its parent, as somebody else. */
  async #fork(parent: LaunchedMicrovm): Promise<void> {
    const child = await this.#host.fork(parent).catch(() => undefined);
    // The server was killed meanwhile: whatever of the fork is there ends with the run.
    if (child === undefined) return;
    const soaked = new SoakedMicrovm(this.#host, this.#tally);
    soaked.#last = this.#last;
    soaked.#uncertain = this.#uncertain;
    soaked.#microvm = { launched: child, files: new SleepingFiles(this.#host.directoryOf(child.microvmId)) };
    await soaked.#requests(child, 1);
    await soaked.end();
    this.#tally.forks += 1;
  }

  async #killMachine(): Promise<number> {
    const pids = await processesIn(this.#host.directoryOf(this.#microvm?.launched.microvmId ?? ''));
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
    if (this.#microvm === undefined) return;
    this.#tally.losses.push(`${this.#microvm.launched.microvmId} was lost ${how}`);
    this.#microvm = undefined;
  }
}
