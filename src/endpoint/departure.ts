/**
 * Whether a client has left before it was answered. An `AbortSignal` costs more than the rest of most requests,
 * so one is made only for who asks for it.
 */
export class Departure {
  /** Called when the client leaves. */
  onLeave: (() => void) | undefined;
  #happened = false;
  #controller: AbortController | undefined;

  get happened(): boolean {
    return this.#happened;
  }

  /** Aborted when the client leaves. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#happened && !this.#controller.signal.aborted) this.#controller.abort(clientHasLeft());
    return this.#controller.signal;
  }

  happen(): void {
    if (this.#happened) return;
    this.#happened = true;
    this.#controller?.abort(clientHasLeft());
    this.onLeave?.();
  }
}

function clientHasLeft(): Error {
  return new Error('the client has left');
}
