import type { TrafficLimits } from './options.ts';
import type { Account } from './traffic.ts';

type ConnectionLimits = Pick<TrafficLimits, 'connections'>;

/** Whom a client's connection counts for: the microVM and the token of its last request, none before it. */
export class Presence {
  #microvm: Account | undefined;
  #token: Account | undefined;
  #over = false;

  /** @returns whether both may have the connection; if not, it counts for whom it did before */
  countFor(
    microvm: Account,
    token: Account,
    limits: { readonly perMicrovm: ConnectionLimits; readonly perToken: ConnectionLimits },
  ): boolean {
    if (this.#over || (this.#microvm === microvm && this.#token === token)) return true;
    if (this.#microvm !== microvm && microvm.connections >= limits.perMicrovm.connections) return false;
    if (this.#token !== token && token.connections >= limits.perToken.connections) return false;
    this.#leave();
    this.#microvm = microvm;
    this.#token = token;
    microvm.connections += 1;
    token.connections += 1;
    return true;
  }

  /** The connection is closed. */
  end(): void {
    this.#over = true;
    this.#leave();
    this.#microvm = undefined;
    this.#token = undefined;
  }

  #leave(): void {
    if (this.#microvm !== undefined) this.#microvm.connections -= 1;
    if (this.#token !== undefined) this.#token.connections -= 1;
  }
}
