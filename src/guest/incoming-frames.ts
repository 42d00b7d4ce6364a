import type { Duplex } from 'node:stream';
import { WorkBudget } from '../model/work-budget.ts';
import { FrameDecoder } from './frame-decoder.ts';
import { GuestProtocolError } from './guest-agent.ts';
import { frame } from './wire.ts';

/** Bytes of one guest that are handled before everybody else has a turn. */
const turnBytes = 128 * 1024;
/** Bytes of answers that a guest may leave unread before nothing more is read of it. */
const mostUnsent = 128 * 1024;

/**
 * Frames of one guest, a second and at once: several times what an application has use for, and a small part of what
 * one processor handles. An opening is worth many, because it is looked up, judged, dialled and answered.
 */
const framesPerSecond = 200_000;
const frameBurst = 8_000;
const openingFrames = 50;
/** Output of an application that is read, a second and at once; it has no window. */
const outputPerSecond = 32 * 1024 * 1024;
const outputBurst = 8 * 1024 * 1024;

export interface IncomingOptions {
  /** @throws what is wrong with the frame */
  readonly onFrame: (stream: number, type: number, payload: Buffer) => void;
  /** Told once why nothing more will come. */
  readonly onEnd: (reason: GuestProtocolError) => void;
}

/**
 * Reads a guest's frames, in short turns and no faster than its host bears. A guest that sends more, or does not read
 * its answers, is not read from for a while; only itself waits then.
 */
export class IncomingFrames {
  readonly #transport: Duplex;
  readonly #options: IncomingOptions;
  readonly #decoder: FrameDecoder;
  readonly #frames = new WorkBudget(framesPerSecond, frameBurst);
  readonly #output = new WorkBudget(outputPerSecond, outputBurst);
  /** Bytes handled since everybody else last had a turn for certain. */
  #inTurn = 0;
  /** What lets the reading go on, while it waits. */
  #cancelWait: (() => void) | undefined;
  /** The channel is closed; what came before is handled first. */
  #closed: GuestProtocolError | undefined;
  #over = false;

  constructor(transport: Duplex, options: IncomingOptions) {
    this.#transport = transport;
    this.#options = options;
    this.#decoder = new FrameDecoder((stream, type, payload) => this.#onFrame(stream, type, payload));
  }

  /** @param rest what came behind the guest's greeting */
  begin(rest: Buffer): void {
    const transport = this.#transport;
    transport.on('data', (chunk: Buffer) => this.#take(chunk));
    const onClosed = (reason: string) => (): void => {
      this.#closed ??= new GuestProtocolError(reason);
      // What was waited for may never come now.
      this.#cancelWait?.();
      this.#cancelWait = undefined;
      this.#handle();
    };
    transport.on('end', onClosed('the guest closed its channel'));
    transport.on('close', onClosed('the channel to the guest closed'));
    this.#take(rest);
    if (this.#cancelWait === undefined && !this.#over) transport.resume();
  }

  /** Nothing more is handled. */
  stop(): void {
    this.#over = true;
    this.#cancelWait?.();
  }

  #take(chunk: Buffer): void {
    if (this.#over) return;
    this.#decoder.push(chunk);
    if (this.#cancelWait === undefined) this.#handle();
  }

  #handle(): void {
    try {
      while (!this.#over && !this.#mustWait()) {
        const length = this.#decoder.step();
        if (length > 0) this.#inTurn += length;
        else if (this.#closed === undefined) return;
        else this.#end(this.#closed);
      }
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#end(new GuestProtocolError(`the guest broke the protocol: ${reason}`, { cause: error }));
    }
  }

  #onFrame(stream: number, type: number, payload: Buffer): void {
    this.#frames.spend(type === frame.open ? openingFrames : 1);
    if (stream === 0 && type === frame.log) this.#output.spend(payload.length);
    this.#options.onFrame(stream, type, payload);
  }

  #mustWait(): boolean {
    const transport = this.#transport;
    // Answers to a channel that is closed go nowhere.
    if (transport.writableLength > mostUnsent && this.#closed === undefined) {
      const onDrain = (): void => this.#goOn();
      transport.once('drain', onDrain);
      this.#pause(() => transport.off('drain', onDrain));
      return true;
    }
    const waitMs = Math.max(this.#frames.waitMs, this.#output.waitMs);
    if (waitMs > 0) {
      const timer = setTimeout(() => this.#goOn(), waitMs);
      this.#pause(() => clearTimeout(timer));
      return true;
    }
    if (this.#inTurn < turnBytes) return false;
    const immediate = setImmediate(() => this.#goOn());
    this.#pause(() => clearImmediate(immediate));
    return true;
  }

  #pause(cancel: () => void): void {
    this.#transport.pause();
    this.#cancelWait = cancel;
  }

  #goOn(): void {
    this.#cancelWait = undefined;
    this.#inTurn = 0;
    this.#handle();
    if (this.#cancelWait === undefined && !this.#over) this.#transport.resume();
  }

  #end(reason: GuestProtocolError): void {
    this.stop();
    this.#options.onEnd(reason);
  }
}
