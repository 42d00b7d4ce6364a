import { type DatagramChannel, type DatagramListener, longestDatagram } from '../model/datagrams.ts';
import type { SessionStream } from './host-openings.ts';
import { type StreamChannel, StreamViolation } from './stream-channel.ts';
import { creditStep, frame, headerBytes, maximumPayload, streamWindow, u32 } from './wire.ts';

export interface GuestDatagramStreamOptions {
  readonly id: number;
  readonly channel: StreamChannel;
  readonly onDatagram: DatagramListener;
  readonly onTraffic: (() => void) | undefined;
}

/**
 * Datagrams to and from one UDP port of the guest. Like UDP it drops what finds no room, in either direction, and
 * so never stalls anything else. A frame costs its header too, so that empty datagrams count.
 */
export class GuestDatagramStream implements DatagramChannel, SessionStream {
  readonly id: number;
  readonly window = streamWindow;
  readonly closed: Promise<void>;
  readonly #channel: StreamChannel;
  readonly #onDatagram: DatagramListener;
  readonly #onTraffic: () => void;
  readonly #settleClosed: () => void;
  /** Bytes the guest still takes, and still may send. */
  #credit = 0;
  #allowed = streamWindow;
  /** Bytes taken that the guest has not been told of. */
  #consumed = 0;
  /** The beginning of a datagram that is longer than a frame. */
  #part: Buffer | undefined;
  #channelFull = false;
  #over = false;

  constructor(options: GuestDatagramStreamOptions) {
    this.id = options.id;
    this.#channel = options.channel;
    this.#onDatagram = options.onDatagram;
    this.#onTraffic = options.onTraffic ?? (() => undefined);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.#settleClosed = resolve;
  }

  send(datagram: Uint8Array): boolean {
    const tail = datagram.length > maximumPayload ? maximumPayload : 0;
    const cost = datagram.length + (tail > 0 ? 2 : 1) * headerBytes;
    if (this.#over || this.#channelFull || datagram.length > longestDatagram || cost > this.#credit)
      return false;
    this.#credit -= cost;
    if (tail > 0) this.#channel.send(this.id, frame.dataPart, datagram.subarray(0, tail));
    if (!this.#channel.send(this.id, frame.data, datagram.subarray(tail))) {
      this.#channelFull = true;
      this.#channel.drained(() => {
        this.#channelFull = false;
      });
    }
    this.#onTraffic();
    return true;
  }

  close(): void {
    this.destroy();
  }

  destroy(): void {
    if (!this.#over) this.#channel.send(this.id, frame.reset);
    this.#end();
  }

  opened(window: Buffer): void {
    this.#grant(window);
  }

  receive(type: number, payload: Buffer): void {
    switch (type) {
      case frame.data:
        this.#take(payload, false);
        return;
      case frame.dataPart:
        this.#take(payload, true);
        return;
      case frame.windowMore:
        this.#grant(payload);
        return;
      case frame.reset:
        this.#end();
        return;
      default:
        throw new StreamViolation(`a frame of type ${type} among datagrams`);
    }
  }

  sever(): void {
    this.#end();
  }

  #take(payload: Buffer, more: boolean): void {
    const before = this.#part?.length ?? 0;
    const fits = more
      ? before === 0 && payload.length === maximumPayload
      : before + payload.length <= longestDatagram;
    if (!fits) throw new StreamViolation('a malformed datagram');
    this.#allowed -= payload.length + headerBytes;
    if (this.#allowed < 0) throw new StreamViolation('the guest sent more than it was granted');
    this.#consumed += payload.length + headerBytes;
    const part = this.#part;
    this.#part = more ? Buffer.from(payload) : undefined;
    if (!more) {
      this.#onTraffic();
      this.#onDatagram(part === undefined ? Buffer.from(payload) : Buffer.concat([part, payload]));
    }
    if (this.#consumed < creditStep || this.#over) return;
    this.#allowed += this.#consumed;
    this.#channel.send(this.id, frame.windowMore, u32(this.#consumed));
    this.#consumed = 0;
  }

  #grant(payload: Buffer): void {
    if (payload.length !== 4) throw new StreamViolation('malformed grant');
    this.#credit += payload.readUInt32LE(0);
    if (this.#credit > 0xffff_ffff) throw new StreamViolation('the guest granted too much');
  }

  #end(): void {
    this.#over = true;
    this.#channel.forget(this.id);
    this.#settleClosed();
  }
}
