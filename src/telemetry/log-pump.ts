import { StringDecoder } from 'node:string_decoder';
import type { LogEvent, LogStore } from './log-store.ts';

/** Lines from a guest are cut at this many characters; a guest that never ends a line costs no more. */
const longestLine = 64 * 1024;

export interface LogDestination {
  readonly group: string;
  readonly stream: string;
}

/**
 * Cuts the output of a guest's application into lines and appends them in batches. While one batch is being
 * written the next gathers; beyond `limit` pending lines the oldest are dropped and counted in the log.
 */
export class LogPump {
  readonly #logs: Pick<LogStore, 'append'>;
  readonly #destination: LogDestination;
  readonly #now: () => number;
  readonly #onError: (error: unknown) => void;
  readonly #sources = new Map<string, { decoder: StringDecoder; partial: string }>();
  #pending: LogEvent[] = [];
  #dropped = 0;
  #writing: Promise<void> | undefined;

  constructor(
    logs: Pick<LogStore, 'append'>,
    destination: LogDestination,
    now: () => number,
    onError: (error: unknown) => void,
  ) {
    this.#logs = logs;
    this.#destination = destination;
    this.#now = now;
    this.#onError = onError;
  }

  write(source: string, chunk: Uint8Array): void {
    const state = this.#sources.get(source) ?? { decoder: new StringDecoder('utf8'), partial: '' };
    this.#sources.set(source, state);
    const lines = (state.partial + state.decoder.write(Buffer.from(chunk))).split('\n');
    state.partial = lines.pop() ?? '';
    while (state.partial.length > longestLine) {
      lines.push(state.partial.slice(0, longestLine));
      state.partial = state.partial.slice(longestLine);
    }
    for (const line of lines) this.#add(line.endsWith('\r') ? line.slice(0, -1) : line);
    this.#flush();
  }

  /** Writes what is left, unfinished lines included. */
  async end(): Promise<void> {
    for (const state of this.#sources.values()) {
      const rest = state.partial + state.decoder.end();
      if (rest !== '') this.#add(rest);
      state.partial = '';
    }
    this.#flush();
    await this.#writing;
  }

  #add(message: string): void {
    if (this.#pending.length >= pendingLimit) {
      this.#pending.shift();
      this.#dropped += 1;
    }
    this.#pending.push({ timestamp: this.#now(), message: message.slice(0, longestLine) });
  }

  #flush(): void {
    if (this.#writing !== undefined || this.#pending.length === 0) return;
    this.#writing = this.#drain().finally(() => {
      this.#writing = undefined;
    });
  }

  async #drain(): Promise<void> {
    while (this.#pending.length > 0) {
      const batch = this.#pending;
      this.#pending = [];
      if (this.#dropped > 0) {
        batch.unshift({ timestamp: this.#now(), message: `[${this.#dropped} lines dropped]` });
        this.#dropped = 0;
      }
      try {
        await this.#logs.append(this.#destination.group, this.#destination.stream, batch);
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}

const pendingLimit = 10_000;
