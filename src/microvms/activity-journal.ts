import type { Logger } from 'pino';
import type { MicrovmRepository } from '../store/microvms.ts';

/**
 * Stores when microVMs were last active. Nobody waits for it: what is noted while the store is at it goes with the next
 * write, all together.
 */
export class ActivityJournal {
  readonly #repository: Pick<MicrovmRepository, 'storeActivity'>;
  readonly #logger: Logger;
  #noted = new Map<string, number>();
  #writing: Promise<void> | undefined;

  constructor(repository: Pick<MicrovmRepository, 'storeActivity'>, logger: Logger) {
    this.#repository = repository;
    this.#logger = logger;
  }

  /** @param at milliseconds since the epoch */
  note(microvmId: string, at: number): void {
    this.#noted.set(microvmId, at);
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves once what has been noted is stored. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    while (this.#noted.size > 0) {
      const batch = this.#noted;
      this.#noted = new Map();
      try {
        await this.#repository.storeActivity(batch);
      } catch (error) {
        // Said again before long by those that stay active.
        this.#logger.warn({ err: error }, 'the activity of microVMs was not stored');
      }
    }
  }
}
