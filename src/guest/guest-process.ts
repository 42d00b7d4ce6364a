import { Readable } from 'node:stream';
import type { ExecSession } from './guest-agent.ts';
import { GuestStream, type GuestStreamOptions } from './guest-stream.ts';
import { Inlet } from './inlet.ts';
import { u16Pair } from './process-fields.ts';
import { StreamViolation } from './stream-channel.ts';
import { frame, u32 } from './wire.ts';

/**
 * The stream of a process: standard input and output, with standard error and the exit beside them. Both outputs share
 * one window, so a process whose output is not read stands still, as at any pipe.
 */
export class GuestProcess extends GuestStream implements ExecSession {
  readonly stdio = this;
  readonly stderr = new ErrorOutput((bytes) => this.handedOver(bytes));
  readonly exit: Promise<{ readonly code: number; readonly signal: number }>;
  readonly #channel: GuestStreamOptions['channel'];
  readonly #exited = Promise.withResolvers<{ readonly code: number; readonly signal: number }>();
  /** Control frames for a guest that takes nothing at the moment; the latest of each kind. */
  readonly #unsent = new Map<string, () => boolean>();
  #crowded = false;

  constructor(options: GuestStreamOptions) {
    super(options);
    this.#channel = options.channel;
    this.exit = this.#exited.promise;
    // Whoever runs a process may not care how it ends.
    this.exit.catch(() => undefined);
  }

  override receive(type: number, payload: Buffer): void {
    switch (type) {
      case frame.dataError:
        this.took(payload.length);
        this.stderr.inlet.put(payload);
        return;
      case frame.eof:
        throw new StreamViolation('a process does not end its output');
      case frame.exit:
        if (payload.length !== 8) throw new StreamViolation('malformed exit');
        this.finish();
        this.#exited.resolve({ code: payload.readUInt32LE(0), signal: payload.readUInt32LE(4) });
        this.stderr.inlet.end();
        return;
      default:
        super.receive(type, payload);
    }
  }

  resize(columns: number, rows: number): void {
    this.#steer('size', () => this.#channel.send(this.id, frame.resize, u16Pair(columns, rows)));
  }

  signal(signal: number): void {
    this.#steer(`signal ${signal}`, () => this.#channel.send(this.id, frame.signal, u32(signal)));
  }

  close(): void {
    this.destroy();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#exited.reject(error ?? new Error('the session with the process was closed'));
    if (!this.stderr.inlet.ended) this.stderr.inlet.end();
    super._destroy(error, done);
  }

  #steer(kind: string, send: () => boolean): void {
    this.#unsent.set(kind, send);
    if (!this.#crowded) this.#sendUnsent();
  }

  #sendUnsent(): void {
    this.#crowded = false;
    for (const [kind, send] of this.#unsent) {
      this.#unsent.delete(kind);
      if (send()) continue;
      this.#crowded = true;
      this.#channel.drained(() => this.#sendUnsent());
      return;
    }
  }
}

/** Standard error of a process, for a reader that may be slow. */
class ErrorOutput extends Readable {
  readonly inlet: Inlet;

  constructor(onHandedOver: (bytes: number) => void) {
    super();
    this.inlet = new Inlet(this, onHandedOver);
  }

  override _read(): void {
    this.inlet.wanted();
  }

  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    this.inlet.settle();
    return chunk;
  }
}
