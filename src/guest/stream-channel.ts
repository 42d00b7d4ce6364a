/** The session's frames, as one of its streams uses them. */
export interface StreamChannel {
  /** Whether it takes more than answers at the moment; `drained` tells when it does again. */
  readonly hasRoom: boolean;
  /** @returns {@link hasRoom} from then on */
  send(stream: number, type: number, payload?: Uint8Array): boolean;
  drained(callback: () => void): void;
  /** The stream is over on this side. */
  forget(stream: number): void;
}

/** The guest sent more than it may, or something that does not belong on its stream. */
export class StreamViolation extends Error {
  override readonly name = 'StreamViolation';
}
