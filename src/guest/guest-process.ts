import { PassThrough } from 'node:stream';
import type { ExecSession } from './guest-agent.ts';
import { GuestStream, type GuestStreamOptions } from './guest-stream.ts';
import { u16Pair } from './process-fields.ts';
import { StreamViolation } from './stream-channel.ts';
import { frame, u32 } from './wire.ts';

/** Standard error is kept up to this much while nobody reads it; more ends the session. */
const errorLimit = 1024 * 1024;

/** The stream of a process: standard input and output, with standard error and the exit beside them. */
export class GuestProcess extends GuestStream implements ExecSession {
  readonly stdio = this;
  readonly stderr = new PassThrough();
  readonly exit: Promise<{ readonly code: number; readonly signal: number }>;
  readonly #channel: GuestStreamOptions['channel'];
  readonly #exited = Promise.withResolvers<{ readonly code: number; readonly signal: number }>();

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
        if (this.stderr.readableLength + payload.length > errorLimit) {
          throw new StreamViolation('standard error is not read');
        }
        this.stderr.write(Buffer.from(payload));
        this.consumed(payload.length);
        return;
      case frame.exit:
        if (payload.length !== 8) throw new StreamViolation('malformed exit');
        this.#exited.resolve({ code: payload.readUInt32LE(0), signal: payload.readUInt32LE(4) });
        this.finish();
        this.stderr.end();
        return;
      default:
        super.receive(type, payload);
    }
  }

  resize(columns: number, rows: number): void {
    this.#channel.send(this.id, frame.resize, u16Pair(columns, rows));
  }

  signal(signal: number): void {
    this.#channel.send(this.id, frame.signal, u32(signal));
  }

  close(): void {
    this.destroy();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#exited.reject(error ?? new Error('the session with the process was closed'));
    this.stderr.end();
    super._destroy(error, done);
  }
}
