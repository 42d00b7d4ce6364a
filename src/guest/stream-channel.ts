/** The session's frames, as one of its streams uses them. */
export interface StreamChannel {
  /** @returns false while the channel has no room; `drained` is called when it has again */
  send(stream: number, type: number, payload?: Uint8Array): boolean;
  drained(callback: () => void): void;
  /** The stream is over on this side. */
  forget(stream: number): void;
}

/** The guest sent more than it may, or something that does not belong on its stream. */
export class StreamViolation extends Error {
  override readonly name = 'StreamViolation';
}
