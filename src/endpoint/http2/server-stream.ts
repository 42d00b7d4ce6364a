import type { BodySink } from '../exchange.ts';
import type { HeaderList } from '../headers.ts';
import { type ErrorCode, errorCodes } from './errors.ts';
import { flags, frameHead, frameHeadBytes, frameTypes, largestFrame, largestWindow } from './frames.ts';
import { fieldsBlock } from './hpack/encoder.ts';
import { Inbox } from './inbox.ts';
import { ReceiveWindow } from './receive-window.ts';
import { mayReceive, maySend, next, type StreamEvent, type StreamState } from './stream-state.ts';

/** The connection, as its streams see it. */
export interface StreamHost {
  /** What the client takes on all streams together. */
  sendWindow: number;
  /** Bytes of a body that a stream may send before it has been opened any further by the client. */
  readonly streamSendWindow: number;
  readonly streamWindowBytes: number;
  /** @returns false when the connection has enough */
  sendData(frameHead: string, content?: Uint8Array): boolean;
  sendHeaders(streamId: number, block: string, endStream: boolean): void;
  /** The stream waits: it is to be told by {@link ServerStream.proceed} when there may be room. */
  wait(stream: ServerStream): void;
  /** Bytes of a request's body are where they belong. */
  taken(bytes: number): void;
  openWindow(streamId: number, increment: number): void;
  /**
   * @param code to reset the stream with; undefined when the client knows that it is over
   * @param unfinished the client has not ended its side, and may not know yet that nobody listens
   */
  closed(stream: ServerStream, code: ErrorCode | undefined, unfinished: boolean): void;
}

/** A DATA frame fills a TLS record, its head included. */
const largestPiece = largestFrame - frameHeadBytes;

/** One stream of a connection: frames, windows and states, whatever it is used for. */
export class ServerStream {
  readonly id: number;
  /** Called when the client takes more, after `write` returned false. */
  onDrain: (() => void) | undefined;
  /** When it began, where that matters. */
  begun = 0;
  /** Called when the stream has taken more than all the time it may. */
  onOverdue: (() => void) | undefined;
  /** Called once, when the stream is over; `orderly` when both sides have ended, and not one of them reset it. */
  onClose: ((orderly: boolean) => void) | undefined;
  readonly #host: StreamHost;
  #state: StreamState;
  #sendWindow: number;
  readonly #inbox: Inbox | undefined;
  readonly #received: ReceiveWindow | undefined;
  /** Bytes that the request's body still has, if it said how many. */
  #announced: number | undefined;
  /** What the client has not taken yet. */
  #unsent: Uint8Array[] = none;
  /** The end comes with the last of what is unsent, or behind it. */
  #ends: 'not yet' | 'with data' | 'behind it' = 'not yet';
  /** Header block of the trailers. */
  #trailers = '';
  /** Whether the connection had room the last time. */
  #hasRoom = true;
  /** Nothing more is wanted of the client once everything is sent. */
  #endsBoth = false;

  /** @param length of the request's body, if it is known */
  constructor(id: number, host: StreamHost, endStream: boolean, length: string | undefined) {
    this.id = id;
    this.#host = host;
    this.#sendWindow = host.streamSendWindow;
    this.#state = endStream ? 'half-closed (remote)' : 'open';
    if (endStream) return;
    this.#announced = length === undefined ? undefined : Number(length);
    this.#received = new ReceiveWindow(host.streamWindowBytes);
    this.#inbox = new Inbox((bytes) => this.#taken(bytes));
  }

  get isClosed(): boolean {
    return this.#state === 'closed';
  }

  /** Whether the client has not ended its side. */
  get receives(): boolean {
    return mayReceive(this.#state);
  }

  get sends(): boolean {
    return maySend(this.#state) && this.#ends === 'not yet';
  }

  // From the client.

  /** @returns false when the client was not allowed to send so much */
  dataBegins(length: number): boolean {
    return this.#received?.received(length) !== false;
  }

  data(piece: Buffer): void {
    if (this.#announced !== undefined) this.#announced -= piece.length;
    if (this.#announced !== undefined && this.#announced < 0) this.reset(errorCodes.protocol);
    if (this.isClosed) this.#host.taken(piece.length);
    else this.#inbox?.put(piece);
  }

  /** Bytes that count and say nothing. */
  padding(bytes: number): void {
    this.#taken(bytes);
  }

  ended(trailers: HeaderList): void {
    if (this.#announced !== undefined && this.#announced > 0) {
      this.reset(errorCodes.protocol);
      return;
    }
    this.#advance('end received');
    this.#inbox?.end(trailers);
  }

  /** @returns false when the window would become larger than one can be */
  opened(increment: number): boolean {
    this.#sendWindow += increment;
    return this.#sendWindow <= largestWindow;
  }

  /** The client, or its connection, is gone. */
  gone(): void {
    if (this.isClosed) return;
    this.#drop();
    this.#state = next(this.#state, 'reset');
    this.#host.closed(this, undefined, false);
    this.#close(false);
  }

  // To the client.

  head(block: string, endStream: boolean): void {
    if (!this.sends) return;
    this.#host.sendHeaders(this.id, block, endStream);
    if (!endStream) return;
    this.#ends = 'with data';
    this.#sendEnd();
  }

  /**
   * @param last the stream ends with these bytes
   * @returns false when there is no room for more
   */
  write(chunk: Uint8Array, last = false): boolean {
    if (!this.sends) return true;
    if (last) this.#ends = 'with data';
    const sent = this.#unsent.length === 0 ? this.#send(chunk) : 0;
    if (sent === chunk.length) {
      if (last) this.#sendEnd();
      if (this.isClosed || this.#hasRoom) return true;
    } else {
      const rest = sent === 0 ? chunk : chunk.subarray(sent);
      if (this.#unsent.length === 0) this.#unsent = [rest];
      else this.#unsent.push(rest);
    }
    this.#host.wait(this);
    return false;
  }

  /** @throws {MalformedMessage} trailers that no version of HTTP has words for */
  end(trailers: HeaderList): void {
    if (!this.sends) return;
    this.#trailers = fieldsBlock(trailers);
    this.#ends = 'behind it';
    if (this.#unsent.length === 0) this.#sendEnd();
  }

  /** Once everything is sent the stream is over, whatever the client still had to say. */
  endBoth(): void {
    this.#endsBoth = true;
    if (!maySend(this.#state)) this.reset(errorCodes.none);
  }

  reset(code: ErrorCode): void {
    this.#drop();
    if (this.isClosed) return;
    const unfinished = this.receives;
    this.#state = next(this.#state, 'reset');
    this.#host.closed(this, code, unfinished);
    this.#close(false);
  }

  /** @returns whether everything is sent */
  proceed(): boolean {
    while (this.#unsent.length > 0) {
      const [chunk] = this.#unsent;
      const sent = chunk === undefined ? 0 : this.#send(chunk);
      if (chunk !== undefined && sent < chunk.length) {
        this.#unsent[0] = chunk.subarray(sent);
        return false;
      }
      this.#unsent.shift();
    }
    if (this.#ends !== 'not yet' && maySend(this.#state)) this.#sendEnd();
    return true;
  }

  readBody(sink: BodySink): void {
    // A body of no length ended with the head.
    if (this.#inbox === undefined) sink.finish(none);
    else this.#inbox.open(sink);
  }

  resumeBody(): void {
    this.#inbox?.resume();
  }

  /** @returns how much of it found room */
  #send(chunk: Uint8Array): number {
    const host = this.#host;
    let at = 0;
    while (at < chunk.length) {
      const size = Math.min(chunk.length - at, this.#sendWindow, host.sendWindow, largestPiece);
      if (size <= 0) break;
      const isLast = this.#ends === 'with data' && this.#unsent.length <= 1 && at + size === chunk.length;
      this.#sendWindow -= size;
      host.sendWindow -= size;
      const head = frameHead(size, frameTypes.data, isLast ? flags.endStream : 0, this.id);
      this.#hasRoom = host.sendData(head, size === chunk.length ? chunk : chunk.subarray(at, at + size));
      at += size;
    }
    return at;
  }

  #sendEnd(): void {
    if (this.#ends === 'behind it') {
      if (this.#trailers !== '') this.#host.sendHeaders(this.id, this.#trailers, true);
      else this.#host.sendData(frameHead(0, frameTypes.data, flags.endStream, this.id));
    }
    this.#advance('end sent');
    if (this.#endsBoth) this.reset(errorCodes.none);
  }

  #taken(bytes: number): void {
    this.#host.taken(bytes);
    const increment = this.#received?.taken(bytes) ?? 0;
    if (increment > 0 && this.receives) this.#host.openWindow(this.id, increment);
  }

  #advance(event: StreamEvent): void {
    if (this.isClosed) return;
    this.#state = next(this.#state, event);
    if (!this.isClosed) return;
    this.#host.closed(this, undefined, false);
    this.#close(true);
  }

  /** What the client has sent goes nowhere, and what it has not taken does neither. */
  #drop(): void {
    this.#unsent = none;
    const held = this.#inbox?.close() ?? 0;
    if (held > 0) this.#host.taken(held);
  }

  #close(orderly: boolean): void {
    this.onClose?.(orderly);
    this.onClose = undefined;
  }
}

/** Never added to. */
const none: [] = [];
