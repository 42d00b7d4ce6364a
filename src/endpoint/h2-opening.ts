import type { Duplex } from 'node:stream';

/** A session with an application that is being opened, for all requests that come meanwhile. */
export class H2Opening<Session> {
  /** Resolves when it has succeeded, failed or been given up. */
  readonly whenOver: Promise<void>;
  readonly #fresh: boolean;
  readonly #session: Promise<Session>;
  readonly #nobodyWaits = new AbortController();
  #dialled = false;
  #waiting = 0;
  #begun = false;

  constructor(options: {
    /** Whether the microVM did not run when it began. */
    readonly fresh: boolean;
    dial(signal: AbortSignal): Promise<Duplex>;
    establish(connection: Duplex): Promise<Session>;
  }) {
    const { signal } = this.#nobodyWaits;
    this.#fresh = options.fresh;
    this.#session = options.dial(signal).then((connection) => {
      this.#dialled = true;
      return options.establish(connection);
    });
    const over = (): void => undefined;
    this.whenOver = this.#session.then(over, over);
  }

  /**
   * Whether a request may wait for it. One whose microVM does not run must not get a connection from before: that
   * may be cut off by the microVM's being put to sleep, and the request is for after the wake.
   */
  isFor(fresh: boolean): boolean {
    return !this.#nobodyWaits.signal.aborted && (!fresh || (this.#fresh && !this.#dialled));
  }

  /**
   * Waits for the session; once nobody does any more it is given up. The first to wait is who dials.
   * @param join how the others wait
   */
  async wait(
    join: (opening: Promise<Session>, signal: AbortSignal) => Promise<Session>,
    signal: AbortSignal,
  ): Promise<Session> {
    this.#waiting += 1;
    const leave = (): void => {
      this.#waiting -= 1;
      if (this.#waiting === 0) this.#nobodyWaits.abort(signal.reason);
    };
    signal.addEventListener('abort', leave, { once: true });
    const isFirst = !this.#begun;
    this.#begun = true;
    try {
      return await (isFirst ? this.#session : join(this.#session, signal));
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }
}
