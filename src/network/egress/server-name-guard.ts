import { Transform, type TransformCallback } from 'node:stream';
import { mostUnsent } from './dial.ts';
import { readServerName } from './tls-server-name.ts';

/** The first message of TLS comes in few pieces; what comes in more, or is longer, counts as one without a name. */
const mostPieces = 64;
const mostBytes = 64 * 1024;

/**
 * What a guest sends to another machine, held back until it is clear whether it begins with TLS and for which
 * server name. What is no TLS passes.
 */
export class ServerNameGuard extends Transform {
  readonly #allows: (name: string | undefined) => boolean;
  /** Undefined once it has been decided. */
  #held: Buffer | undefined = Buffer.alloc(0);
  #pieces = 0;

  /** @param allows asked once, with the name or with undefined for TLS that names none; on no, the stream fails */
  constructor(allows: (name: string | undefined) => boolean) {
    super({ highWaterMark: mostUnsent });
    this.#allows = allows;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#held === undefined) {
      done(null, chunk);
      return;
    }
    this.#held = Buffer.concat([this.#held, chunk]);
    this.#pieces += 1;
    const held = this.#held;
    const reading = readServerName(held);
    if (reading.kind === 'incomplete' && this.#pieces < mostPieces && held.length < mostBytes) {
      done();
      return;
    }
    this.#held = undefined;
    const name = reading.kind === 'tls' ? reading.name : undefined;
    if (reading.kind !== 'other' && !this.#allows(name)) done(new Error('the server name is refused'));
    else done(null, held);
  }

  override _flush(done: TransformCallback): void {
    // What stayed incomplete is no first message of TLS that any server could answer.
    done(null, this.#held);
  }
}
