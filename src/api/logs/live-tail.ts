import type { LogStore, StoredLogEvent } from '../../telemetry/log-store.ts';

/** Streams of one session that are followed at the same time. */
const mostStreams = 500;
/** As the service: more than so many events between two updates are sampled. */
const mostPerUpdate = 500;

export interface TailedEvent extends StoredLogEvent {
  readonly group: string;
  readonly stream: string;
}

export interface TailUpdate {
  readonly events: readonly TailedEvent[];
  /** Whether there were more than fit. */
  readonly sampled: boolean;
}

export interface TailRequest {
  readonly groups: readonly string[];
  readonly wantsStream: (stream: string) => boolean;
  readonly wantsMessage: (message: string) => boolean;
  /** Only events from then on, in milliseconds since the epoch. */
  readonly since: number;
}

/** Collects what is written to some log groups from a moment on, also by streams that begin later. */
export class LiveTail {
  readonly #logs: Pick<LogStore, 'describe' | 'follow'>;
  readonly #request: TailRequest;
  readonly #signal: AbortSignal;
  readonly #followed = new Set<string>();
  #events: TailedEvent[] = [];
  #sampled = false;

  /** @param signal ends it */
  constructor(logs: Pick<LogStore, 'describe' | 'follow'>, request: TailRequest, signal: AbortSignal) {
    this.#logs = logs;
    this.#request = request;
    this.#signal = signal;
  }

  /** Takes up streams that were written to since it began. Call it before every {@link take}. */
  async lookForStreams(): Promise<void> {
    const { groups, wantsStream, since } = this.#request;
    for (const group of groups) {
      for (const { name, lastEventAt } of await this.#logs.describe(group)) {
        const key = `${group}\n${name}`;
        if (lastEventAt < since || this.#followed.has(key) || !wantsStream(name)) continue;
        if (this.#followed.size >= mostStreams) return;
        this.#followed.add(key);
        // A stream that cannot be read any more has been removed; it may come again.
        void this.#follow(group, name).catch(() => this.#followed.delete(key));
      }
    }
  }

  /** What has come since the last call. */
  take(): TailUpdate {
    const update = { events: this.#events, sampled: this.#sampled };
    this.#events = [];
    this.#sampled = false;
    return update;
  }

  async #follow(group: string, stream: string): Promise<void> {
    const { since, wantsMessage } = this.#request;
    for await (const event of this.#logs.follow(group, stream, {}, this.#signal)) {
      if (event.timestamp < since || !wantsMessage(event.message)) continue;
      if (this.#events.length < mostPerUpdate) this.#events.push({ ...event, group, stream });
      else this.#sampled = true;
    }
  }
}
