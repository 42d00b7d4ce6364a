import type { Outbox } from '../http1/outbox.ts';
import type { EndpointLimits } from '../options.ts';
import { demand, readWindowUpdate } from './control.ts';
import { type ErrorCode, errorCodes } from './errors.ts';
import * as frames from './frames.ts';
import { noTable } from './hpack/encoder.ts';
import { ReceiveWindow } from './receive-window.ts';
import { RecentIds } from './recent-ids.ts';
import { ServerStream, type StreamHost } from './server-stream.ts';

/** The streams of a connection and the windows that they share. */
export class ServerStreams implements StreamHost {
  readonly streamWindowBytes: number;
  sendWindow: number = frames.initialWindow;
  streamSendWindow: number = frames.initialWindow;
  /** The highest id so far. */
  last = 0;
  readonly #outbox: Outbox;
  readonly #most: number;
  readonly #totalTimeMs: number;
  readonly #now: () => number;
  readonly #strike: () => void;
  readonly #onRest: () => void;
  readonly #received: ReceiveWindow;
  readonly #open = new Map<number, ServerStream>();
  /** Streams that have something to say and no room for it. */
  readonly #waiting = new Set<ServerStream>();
  /** Streams that we ended before the client did, which may not know it yet. */
  readonly #unfinished: RecentIds;
  #encoded = false;
  #over = false;
  /** The DATA frame that is read. */
  #dataStream: ServerStream | undefined;
  #dataEnds = false;
  /** Its bytes that have not come, or are no content. */
  #dataLeft = 0;

  /**
   * @param now milliseconds on any clock that only goes forward
   * @param strike called for what a client may not do all day; throws when it has done it too often
   * @param onRest called when the last stream has ended
   */
  constructor(
    outbox: Outbox,
    limits: Pick<
      EndpointLimits,
      'concurrentStreams' | 'streamWindowBytes' | 'connectionWindowBytes' | 'totalTimeMs'
    >,
    now: () => number,
    strike: () => void,
    onRest: () => void,
  ) {
    this.#outbox = outbox;
    this.#most = limits.concurrentStreams;
    this.#totalTimeMs = limits.totalTimeMs;
    this.#now = now;
    this.#strike = strike;
    this.#onRest = onRest;
    this.#received = new ReceiveWindow(limits.connectionWindowBytes);
    this.#unfinished = new RecentIds(limits.concurrentStreams);
    this.streamWindowBytes = limits.streamWindowBytes;
  }

  get areAtRest(): boolean {
    return this.#open.size === 0;
  }

  get areTooMany(): boolean {
    return this.#open.size > this.#most;
  }

  get #isTimed(): boolean {
    return this.#totalTimeMs !== Number.POSITIVE_INFINITY;
  }

  get(streamId: number): ServerStream | undefined {
    return this.#open.get(streamId);
  }

  /** @param length of the request's body, if it is known */
  begin(streamId: number, endStream: boolean, length: string | undefined): ServerStream {
    const stream = new ServerStream(streamId, this, endStream, length);
    if (this.#isTimed) stream.begun = this.#now();
    this.last = streamId;
    this.#open.set(streamId, stream);
    return stream;
  }

  /** Resets a stream for what the client did. */
  reset(stream: ServerStream, code: ErrorCode): void {
    this.#strike();
    stream.reset(code);
  }

  /** Ends those that have taken more than all the time they may. */
  endOverdue(): void {
    if (!this.#isTimed) return;
    const latest = this.#now() - this.#totalTimeMs;
    for (const stream of this.#open.values()) {
      // They are in the order in which they began.
      if (stream.begun >= latest) return;
      stream.onOverdue?.();
    }
  }

  /** The connection ends, and with it all of them. */
  end(): void {
    this.#over = true;
    for (const stream of [...this.#open.values()]) stream.gone();
  }

  /**
   * Something for a stream that is over: the client may not know it yet.
   * @throws {ConnectionError} it knows
   */
  demandUnfinished(streamId: number, endStream: boolean): void {
    demand(this.#unfinished.has(streamId), errorCodes.streamClosed, 'a frame of a stream that is over');
    if (endStream) this.#unfinished.delete(streamId);
  }

  // To the client.

  sendData(frameHead: string, content?: Uint8Array): boolean {
    if (content === undefined) return this.#outbox.push(frameHead);
    this.#outbox.add(frameHead);
    return this.#outbox.push(content);
  }

  sendHeaders(streamId: number, block: string, endStream: boolean): void {
    this.#outbox.push(frames.headersFrames(streamId, this.#encoded ? block : noTable + block, endStream));
    this.#encoded = true;
  }

  wait(stream: ServerStream): void {
    this.#waiting.add(stream);
  }

  taken(bytes: number): void {
    const increment = this.#received.taken(bytes);
    if (increment > 0) this.openWindow(0, increment);
  }

  openWindow(streamId: number, increment: number): void {
    if (!this.#over) this.#outbox.push(frames.windowUpdateFrame(streamId, increment));
  }

  closed(stream: ServerStream, code: ErrorCode | undefined, unfinished: boolean): void {
    this.#open.delete(stream.id);
    this.#waiting.delete(stream);
    if (this.#open.size === 0) this.#onRest();
    if (code === undefined || this.#over) return;
    if (unfinished) this.#unfinished.add(stream.id);
    this.#outbox.push(frames.rstStreamFrame(stream.id, code));
  }

  // From the client.

  dataBegins(streamId: number, length: number, endStream: boolean): void {
    this.#demandBegun(streamId);
    demand(this.#received.received(length), errorCodes.flowControl, 'more than the window of the connection');
    if (length === 0 && !endStream) this.#strike();
    this.#dataEnds = endStream;
    this.#dataLeft = length;
    const stream = this.#open.get(streamId);
    this.#dataStream = stream;
    if (stream === undefined) {
      this.demandUnfinished(streamId, endStream);
    } else if (!stream.receives) {
      this.reset(stream, errorCodes.streamClosed);
    } else if (!stream.dataBegins(length)) {
      this.reset(stream, errorCodes.flowControl);
    }
  }

  data(piece: Buffer): void {
    this.#dataLeft -= piece.length;
    if (this.#dataStream === undefined) this.taken(piece.length);
    else this.#dataStream.data(piece);
  }

  dataEnds(): void {
    const stream = this.#dataStream;
    this.#dataStream = undefined;
    if (this.#dataLeft > 0) {
      if (stream === undefined) this.taken(this.#dataLeft);
      else stream.padding(this.#dataLeft);
    }
    if (this.#dataEnds && stream?.receives === true) stream.ended([]);
  }

  resetByClient(streamId: number, payload: Buffer): void {
    this.#demandBegun(streamId);
    demand(payload.length === 4, errorCodes.frameSize, 'the size of a RST_STREAM');
    this.#unfinished.delete(streamId);
    const stream = this.#open.get(streamId);
    if (stream === undefined) return;
    this.#strike();
    stream.gone();
  }

  /** SETTINGS change the window of every stream by the same. */
  resizeWindows(window: number): void {
    const difference = window - this.streamSendWindow;
    this.streamSendWindow = window;
    for (const stream of this.#open.values()) {
      demand(stream.opened(difference), errorCodes.flowControl, 'a window too large');
    }
    if (difference > 0) this.proceed();
  }

  windowOpened(streamId: number, payload: Buffer): void {
    const increment = readWindowUpdate(payload);
    if (streamId === 0) {
      demand(increment > 0, errorCodes.protocol, 'a window opened by nothing');
      this.sendWindow += increment;
      demand(this.sendWindow <= frames.largestWindow, errorCodes.flowControl, 'a window too large');
      this.proceed();
      return;
    }
    this.#demandBegun(streamId);
    const stream = this.#open.get(streamId);
    if (stream === undefined) return;
    if (increment === 0) this.reset(stream, errorCodes.protocol);
    else if (!stream.opened(increment)) this.reset(stream, errorCodes.flowControl);
    else if (this.#waiting.has(stream)) this.#proceedWith(stream);
  }

  /** There may be room for those that wait. */
  proceed(): void {
    for (const stream of [...this.#waiting]) this.#proceedWith(stream);
  }

  #proceedWith(stream: ServerStream): void {
    if (!this.#outbox.hasRoom) return;
    // At the end of those that wait, if it has to wait again.
    this.#waiting.delete(stream);
    if (!stream.proceed()) this.#waiting.add(stream);
    else stream.onDrain?.();
  }

  /** @throws {ConnectionError} no frame but HEADERS and PRIORITY may be the first of a stream */
  #demandBegun(streamId: number): void {
    const begun = streamId % 2 === 1 && streamId <= this.last;
    demand(begun, errorCodes.protocol, 'a frame of a stream that has not begun');
  }
}
