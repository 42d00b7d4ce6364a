import type { Duplex } from 'node:stream';

interface Idle {
  readonly connection: Duplex;
  readonly since: number;
  readonly drop: () => void;
}

export interface ConnectionPoolOptions {
  readonly idleMs: number;
  readonly perKey: number;
  readonly total: number;
}

/**
 * Idle HTTP/1.1 connections into guests. A connection on which anything happens while it is idle is dropped: it
 * was closed (the microVM fell asleep, the application gave up), or the guest speaks out of turn.
 */
export class ConnectionPool {
  readonly #idle = new Map<string, Idle[]>();
  readonly #options: ConnectionPoolOptions;
  readonly #sweeper: NodeJS.Timeout;
  #count = 0;

  constructor(options: ConnectionPoolOptions) {
    this.#options = options;
    this.#sweeper = setInterval(() => this.#sweep(), Math.max(50, options.idleMs / 4));
    this.#sweeper.unref();
  }

  get size(): number {
    return this.#count;
  }

  /** The connection used last, if it has been idle for no longer than `idleMs`. */
  take(key: string, idleMs: number): Duplex | undefined {
    const entry = this.#idle.get(key)?.at(-1);
    if (entry === undefined || performance.now() - entry.since > idleMs) return undefined;
    this.#remove(key, entry);
    return entry.connection;
  }

  put(key: string, connection: Duplex): void {
    const list = this.#idle.get(key) ?? [];
    const full = list.length >= this.#options.perKey || this.#count >= this.#options.total;
    const usable = connection.readable && connection.writable && connection.readableLength === 0;
    if (full || !usable) {
      connection.destroy();
      return;
    }
    const drop = (): void => {
      this.#remove(key, entry);
      connection.destroy();
    };
    const entry: Idle = { connection, since: performance.now(), drop };
    for (const event of watched) connection.on(event, drop);
    list.push(entry);
    this.#idle.set(key, list);
    this.#count += 1;
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const entry of [...this.#idle.values()].flat()) entry.drop();
  }

  #remove(key: string, entry: Idle): void {
    const list = this.#idle.get(key);
    const index = list?.indexOf(entry) ?? -1;
    if (list === undefined || index < 0) return;
    list.splice(index, 1);
    if (list.length === 0) this.#idle.delete(key);
    for (const event of watched) entry.connection.off(event, entry.drop);
    this.#count -= 1;
  }

  #sweep(): void {
    const oldest = performance.now() - this.#options.idleMs;
    for (const list of [...this.#idle.values()]) {
      for (const entry of list.filter(({ since }) => since < oldest)) entry.drop();
    }
  }
}

const watched = ['data', 'end', 'close', 'error'] as const;
