import { processesIn } from '../../scripts/support/leftovers.ts';
import { CountedMicrovm } from './counted-microvm.ts';
import type { Host } from './host.ts';
import { LossError, type Tally } from './tally.ts';

const forkEvery = 25;
/** Requests at once that wake a microVM, in one cycle of {@link crowdEvery}. */
const crowd = 3;
const crowdEvery = 5;
/** Of the wakes: while the suspend before is still under way. */
const wakeAtOnceShare = 0.2;
const killAsleepShare = 0.05;
const killAwakeShare = 0.01;

/** One microVM that is put to sleep and woken by requests, and replaced when it was killed awake. */
export class SoakedMicrovm {
  readonly #host: Host;
  readonly #tally: Tally;
  #microvm: CountedMicrovm | undefined;
  #cycle = 0;

  constructor(host: Host, tally: Tally) {
    this.#host = host;
    this.#tally = tally;
  }

  async cycle(): Promise<void> {
    this.#microvm ??= await this.#begin();
    const microvm = this.#microvm;
    const { microvmId } = microvm.launched;
    await this.#host.insist((client) => client.suspend(microvmId));
    if (Math.random() >= wakeAtOnceShare) {
      const state = await this.#host.reaches(microvmId, 'SUSPENDED', 'RUNNING', 'TERMINATED');
      if (state === 'TERMINATED') return this.#lost('by a suspend');
      if (state === 'SUSPENDED') await this.#inspectAsleep(microvm);
    }
    this.#cycle += 1;
    const end = await microvm.requests(this.#cycle % crowdEvery === 0 ? crowd : 1);
    this.#tally.cycles += 1;
    if (end !== undefined) return this.#lost(`at a request: ${end}`);
    if (this.#cycle % forkEvery === 0) await this.#fork(microvm);
    if (Math.random() < killAwakeShare) await this.#killAwake(microvmId);
  }

  async end(): Promise<void> {
    const microvmId = this.#microvm?.launched.microvmId;
    if (microvmId === undefined) return;
    await this.#host.insist((client) => client.terminate(microvmId));
    await this.#host.reaches(microvmId, 'TERMINATED');
  }

  async #begin(): Promise<CountedMicrovm> {
    const microvm = new CountedMicrovm(this.#host, this.#tally, await this.#host.launch());
    const end = await microvm.requests(1);
    if (end !== undefined) throw new LossError(`lost at its first request: ${end}`);
    return microvm;
  }

  /** What sleeps is on the disk, as large as ever, and needs no process. */
  async #inspectAsleep({ files }: CountedMicrovm): Promise<void> {
    this.#tally.largestDifferenceBytes = Math.max(this.#tally.largestDifferenceBytes, await files.verify());
    if (Math.random() >= killAsleepShare) return;
    const killed = await this.#killMachine();
    if (killed > 0) this.#tally.machinesKilledAsleep += 1;
  }

  /** A child goes on from its parent, as somebody else. */
  async #fork(parent: CountedMicrovm): Promise<void> {
    const launched = await this.#host.fork(parent.launched).catch(() => undefined);
    // The server was killed meanwhile: whatever of the fork is there ends with the run.
    if (launched === undefined) return;
    const child = new CountedMicrovm(this.#host, this.#tally, launched, parent.moment);
    const soaked = new SoakedMicrovm(this.#host, this.#tally);
    soaked.#microvm = child;
    const end = await child.requests(1);
    if (end !== undefined) return soaked.#lost(`at a request: ${end}`);
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
