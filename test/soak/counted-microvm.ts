import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
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

/** What an application has acknowledged, and how many requests it may have counted besides. */
export interface Moment {
  readonly last: Answer | undefined;
  readonly uncertain: number;
}

const retryMs = 50;
const longestRetryMs = 120_000;

/** A microVM of the counter example, and what may be expected of its next answer. */
export class CountedMicrovm {
  readonly launched: LaunchedMicrovm;
  readonly files: SleepingFiles;
  readonly #host: Host;
  readonly #tally: Tally;
  #last: Answer | undefined;
  #uncertain: number;
  #earlier: Moment | undefined;

  /** @param from where it goes on, when it was not launched anew */
  constructor(host: Host, tally: Tally, launched: LaunchedMicrovm, from?: Moment) {
    this.#host = host;
    this.#tally = tally;
    this.launched = launched;
    this.files = new SleepingFiles(host.directoryOf(launched.microvmId));
    this.#last = from?.last;
    this.#uncertain = from?.uncertain ?? 0;
  }

  get moment(): Moment {
    return { last: this.#last, uncertain: this.#uncertain };
  }

  /** It was put back to an earlier moment. */
  returnsTo({ last, uncertain }: Moment): void {
    this.#last = last;
    this.#uncertain += uncertain;
    this.#earlier = undefined;
  }

  /** It was put back to an earlier moment or not: the next answer tells. */
  mayReturnTo(earlier: Moment): void {
    this.#earlier = earlier;
  }

  /**
   * So many requests at once, each until it was answered; resolves with why none will be, when it has ended.
   * @throws {LossError} an answer tells of something that was lost
   */
  async requests(count: number): Promise<string | undefined> {
    const attempts = Array.from({ length: count }, () => this.#insistOnAnswer());
    const outcomes = await Promise.all(attempts);
    const answers = outcomes.filter((outcome) => typeof outcome !== 'string');
    for (const answer of answers.toSorted((a, b) => a.memory - b.memory)) this.#verify(answer);
    this.#uncertain = 0;
    return outcomes.find((outcome) => typeof outcome === 'string');
  }

  /** One request that may fail. */
  async tryRequest(): Promise<void> {
    this.#uncertain += 1;
    const answer = answerSchema.parse(await this.#host.request(this.launched));
    this.#uncertain -= 1;
    this.#verify(answer);
  }

  async #insistOnAnswer(): Promise<Answer | string> {
    const deadline = performance.now() + longestRetryMs;
    for (;;) {
      try {
        return answerSchema.parse(await this.#host.request(this.launched));
      } catch (error) {
        if (performance.now() > deadline) throw error;
        this.#uncertain += 1;
        const { microvmId } = this.launched;
        const state = await this.#host.insist((client) => client.state(microvmId));
        if (state === 'TERMINATED') return String(error);
      }
      await delay(retryMs);
    }
  }

  #verify(answer: Answer): void {
    this.#tally.requests += 1;
    if (this.#earlier !== undefined && answer.memory <= (this.#last?.memory ?? 0)) {
      this.returnsTo(this.#earlier);
    }
    this.#earlier = undefined;
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
    if (answer.hostname !== this.launched.microvmId) throw new LossError(`is named ${answer.hostname}`);
    if (this.#tally.drawn.has(answer.random)) throw new LossError('drew what another guest had drawn');
    this.#tally.drawn.add(answer.random);
    this.#last = answer;
  }
}
