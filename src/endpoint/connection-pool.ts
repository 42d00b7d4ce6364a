/** What a pool keeps. */
export interface PoolConnection {
  /** Called when the connection ends, or cannot be used any more, while it is idle. */
  onGone: (() => void) | undefined;
  /** Ends it while it is idle. */
  end(): void;
}

interface Idle<Connection> {
  readonly connection: Connection;
  readonly since: number;
}

export interface ConnectionPoolOptions {
  readonly idleMs: number;
  readonly perKey: number;
  readonly total: number;
}

/** Idle HTTP/1.1 connections into guests. */
export class ConnectionPool<Connection extends PoolConnection> {
  readonly #idle = new Map<string, Idle<Connection>[]>();
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
  take(key: string, idleMs: number): Connection | undefined {
    const list = this.#idle.get(key);
    const entry = list?.at(-1);
    if (list === undefined || entry === undefined) return undefined;
    if (performance.now() - entry.since > idleMs) return undefined;
    // The list stays, empty, for the next to come; the sweep removes it.
    list.pop();
    this.#count -= 1;
    entry.connection.onGone = undefined;
    return entry.connection;
  }

  put(key: string, connection: Connection): void {
    let list = this.#idle.get(key);
    if (list === undefined) {
      list = [];
      this.#idle.set(key, list);
    }
    if (list.length >= this.#options.perKey || this.#count >= this.#options.total) {
      connection.end();
      return;
    }
    connection.onGone = () => this.#remove(key, connection);
    list.push({ connection, since: performance.now() });
    this.#count += 1;
  }

  close(): void {
    clearInterval(this.#sweeper);
    for (const [key, list] of this.#idle) for (const { connection } of [...list]) this.#drop(key, connection);
  }

  #drop(key: string, connection: Connection): void {
    this.#remove(key, connection);
    connection.end();
  }

  #remove(key: string, connection: Connection): void {
    const list = this.#idle.get(key) ?? [];
    const index = list.findIndex((entry) => entry.connection === connection);
    if (index < 0) return;
    list.splice(index, 1);
    this.#count -= 1;
    connection.onGone = undefined;
  }

  #sweep(): void {
    const oldest = performance.now() - this.#options.idleMs;
    for (const [key, list] of this.#idle) {
      for (const { connection } of list.filter(({ since }) => since < oldest)) this.#drop(key, connection);
      if (list.length === 0) this.#idle.delete(key);
    }
  }
}
