import type { ServerHttp2Session } from 'node:http2';

interface Rest {
  streams: number;
  /** When the last of them ended. */
  since: number;
}

/** HTTP/2 connections that carry no stream: it takes no token to open one, so they are not kept for long. */
export class IdleSessions {
  readonly #sessions = new Map<ServerHttp2Session, Rest>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  watch(session: ServerHttp2Session): void {
    const rest: Rest = { streams: 0, since: this.#now() };
    this.#sessions.set(session, rest);
    session.once('close', () => this.#sessions.delete(session));
    session.on('stream', (stream) => {
      rest.streams += 1;
      stream.once('close', () => {
        rest.streams -= 1;
        rest.since = this.#now();
      });
    });
  }

  /** Says goodbye on those that have been idle for longer. Call it often. */
  sweep(idleMs: number): void {
    const oldest = this.#now() - idleMs;
    for (const [session, rest] of this.#sessions) {
      if (rest.streams === 0 && rest.since < oldest) session.close();
    }
  }
}
