import { CountedMicrovm } from '../../soak/counted-microvm.ts';
import { LossError } from '../../soak/tally.ts';
import { lastStep, tell, type Victim } from './control.ts';
import { endedForAReason, onlyNeeds, othersWorkAndEnd } from './invariants.ts';
import { type Room, settled, type Transition } from './transitions.ts';

const mostFailures = 5;

export interface SweepOptions {
  readonly transition: Transition;
  readonly victim: Victim;
  /** Where the server is told what to do. */
  readonly socket: string;
  readonly dataDirectory: string;
}

interface Result {
  readonly transition: string;
  readonly kill: Victim;
  /** Steps of one transition; undefined when the time was over before. */
  readonly steps: number | undefined;
  readonly kills: number;
  /** VMMs among them: at some steps there is none. */
  readonly machinesKilled: number;
  readonly microvmsLaunched: number;
  readonly seconds: number;
}

/** One transition, again and again, with one step after the other as the last. */
export class Sweep {
  readonly #room: Room;
  readonly #options: SweepOptions;
  /** Those that have ended and were looked at. */
  readonly #known = new Set<string>();
  readonly #startedAt = performance.now();
  #microvm: CountedMicrovm | undefined;
  #steps: number | undefined;
  #kills = 0;
  #machinesKilled = 0;
  #launched = 0;
  #seconds = 0;

  constructor(room: Room, options: SweepOptions) {
    this.#room = room;
    this.#options = options;
  }

  get result(): Result {
    return {
      transition: this.#options.transition.name,
      kill: this.#options.victim,
      steps: this.#steps,
      kills: this.#kills,
      machinesKilled: this.#machinesKilled,
      microvmsLaunched: this.#launched,
      seconds: this.#seconds,
    };
  }

  /** For a person. */
  get line(): string {
    const { transition, kill, steps, kills, seconds } = this.result;
    return `${transition}: ${kill} killed at ${kills} of ${steps ?? 'unknown'} steps, ${seconds} s`;
  }

  /**
   * What is wrong after a kill is noted, and the sweep goes on with another microVM.
   * @throws {Error} so much is wrong that it would not end
   */
  async run(from: number, stride: number, goesOn: () => boolean): Promise<void> {
    let failures = 0;
    for (let at = from; goesOn(); at += stride) {
      try {
        if (!(await this.#strike(at))) break;
      } catch (error) {
        failures += 1;
        if (failures === mostFailures) throw error;
        this.#room.tally.fail(error);
        this.#microvm = undefined;
      }
      this.#kills += 1;
    }
    await this.#end();
    this.#seconds = Math.round((performance.now() - this.#startedAt) / 1000);
  }

  /** Resolves with whether the transition had such a step. */
  async #strike(at: number): Promise<boolean> {
    const { transition, victim, socket } = this.#options;
    const microvm = await this.#ready();
    await transition.prepare?.(this.#room, microvm);
    await tell(socket, { kill: victim, at });
    const failure = await transition.act(this.#room, microvm).then(
      () => undefined,
      (error: unknown) => error,
    );
    const report = await tell(socket, { kill: 'nothing', at: 0 });
    this.#machinesKilled += report?.killed ?? 0;
    const struck = report === undefined ? await lastStep(socket) : report.struck;
    try {
      if (report === undefined) {
        await this.#room.host.succeed();
        if (struck === undefined) throw new LossError('the server has ended by itself');
      } else if (struck === undefined) {
        this.#steps = report.steps;
      }
      if (failure !== undefined && (struck === undefined || failure instanceof LossError)) throw failure;
      await this.#verify(microvm);
    } catch (error) {
      const where = `${transition.name}, ${victim} killed at step ${at}: ${struck ?? 'none'}`;
      throw new Error(`${where}: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
    return struck !== undefined;
  }

  async #verify(microvm: CountedMicrovm): Promise<void> {
    const { transition, victim, dataDirectory } = this.#options;
    const { microvmId } = microvm.launched;
    await transition.verify?.(this.#room, microvm);
    const ended = (await settled(this.#room, microvmId)) === 'TERMINATED';
    if (ended || (await microvm.requests(1)) !== undefined) {
      const reason = await endedForAReason(this.#room, microvmId);
      if (transition.ends !== true && victim === 'server')
        throw new LossError(`the microVM ended: ${reason}`);
      this.#known.add(microvmId);
      this.#microvm = undefined;
    }
    const left = this.#microvm?.launched.microvmId;
    await othersWorkAndEnd(this.#room, left ?? '', this.#known);
    await onlyNeeds(dataDirectory, left);
  }

  /** A microVM that runs and has answered. */
  async #ready(): Promise<CountedMicrovm> {
    if (this.#microvm !== undefined) return this.#microvm;
    const { host, tally } = this.#room;
    const microvm = new CountedMicrovm(host, tally, await host.launch());
    const end = await microvm.requests(1);
    if (end !== undefined) throw new LossError(`lost at its first request: ${end}`);
    this.#launched += 1;
    this.#microvm = microvm;
    return microvm;
  }

  async #end(): Promise<void> {
    const microvmId = this.#microvm?.launched.microvmId;
    if (microvmId === undefined) return;
    await this.#room.host.insist((client) => client.terminate(microvmId));
    await this.#room.host.reaches(microvmId, 'TERMINATED');
  }
}
