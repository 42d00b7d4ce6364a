import type { TLSSocket } from 'node:tls';
import type { Exchange } from '../exchange.ts';
import { MalformedMessage, OversizedMessage } from '../http1/grammar.ts';
import { Outbox } from '../http1/outbox.ts';
import type { EndpointLimits } from '../options.ts';
import { Presence } from '../presence.ts';
import { type Refusal, refusals } from '../refusals.ts';
import { serverNameOf } from '../server-name.ts';
import { TokenMemory } from '../tokens.ts';
import type { UpgradeClient } from '../upgrade-client.ts';
import { Budget } from './budget.ts';
import { demand, readSettings } from './control.ts';
import { ConnectionError, type ErrorCode, errorCodes } from './errors.ts';
import { FrameReader, type FrameSink } from './frame-reader.ts';
import * as frames from './frames.ts';
import { type HeaderBlock, HeaderBlocks } from './header-block.ts';
import { oversizedHead, type RequestHead } from './request-head.ts';
import { RequestHeads } from './request-heads.ts';
import { ServerExchange } from './server-exchange.ts';
import type { ServerStream } from './server-stream.ts';
import { ServerStreams } from './server-streams.ts';
import { upgradeOverH2 } from './server-upgrade.ts';

export interface ServerConnectionOptions {
  readonly limits: Pick<
    EndpointLimits,
    | 'headerBytes'
    | 'headersTimeoutMs'
    | 'keepAliveTimeoutMs'
    | 'idleTimeoutMs'
    | 'totalTimeMs'
    | 'concurrentStreams'
    | 'streamWindowBytes'
    | 'connectionWindowBytes'
  >;
  /** Milliseconds on any clock that only goes forward. */
  readonly now: () => number;
  serve(exchange: Exchange): void;
  upgrade(client: UpgradeClient): void;
  /** Told about every answer of our own. */
  onRefuse(refusal: Refusal): void;
  /** Told about errors of our own. */
  onError(error: unknown): void;
}

const { frameTypes: types } = frames;
/** Bytes a client may leave unread before nothing more is read of it. */
const mostUnread = 1024 * 1024;
/** Time a client has to read why its connection ends. */
const lingerMs = 2000;

/** Serves one client over HTTP/2 (RFC 9113). */
export class ServerConnection implements FrameSink {
  readonly serverName: string | undefined;
  readonly memory = new TokenMemory();
  readonly presence = new Presence();
  readonly #socket: TLSSocket;
  readonly #options: ServerConnectionOptions;
  readonly #outbox: Outbox;
  readonly #reader = new FrameReader(this);
  readonly #blocks: HeaderBlocks;
  readonly #heads: RequestHeads;
  readonly #budget: Budget;
  readonly #streams: ServerStreams;
  /** The client's SETTINGS have come. */
  #settled = false;
  #ending = false;
  /** When the connection began, its last stream ended, its end began, or all was said. */
  #since: number;
  /** When a header block began that is not complete. */
  #blockSince = 0;

  constructor(socket: TLSSocket, options: ServerConnectionOptions) {
    const { limits, now } = options;
    this.#socket = socket;
    this.#options = options;
    this.serverName = serverNameOf(socket);
    this.#outbox = new Outbox(socket, 'turn');
    this.#blocks = new HeaderBlocks(limits.headerBytes);
    this.#heads = new RequestHeads(limits.headerBytes);
    this.#since = now();
    this.#budget = new Budget(this.#since);
    this.#streams = new ServerStreams(
      this.#outbox,
      limits,
      now,
      () => this.#strike(),
      () => {
        this.#since = now();
      },
    );
    socket.setTimeout(limits.idleTimeoutMs, () => socket.destroy());
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.once('end', this.#onGone);
    socket.once('close', this.#onGone);
    this.#outbox.push(frames.settingsFrame(settingsFor(limits)));
    this.#outbox.push(frames.windowUpdateFrame(0, limits.connectionWindowBytes - frames.initialWindow));
  }

  /** Ends what takes too long. Call it now and then. */
  checkTime(): void {
    const { limits, now } = this.#options;
    const elapsed = now() - this.#since;
    if (this.#ending) {
      // One who does not read to the end has the time that a connection may do nothing.
      const most = this.#socket.writableFinished ? lingerMs : limits.keepAliveTimeoutMs;
      if (elapsed > most) this.#socket.destroy();
    } else if (this.#blocks.awaited && now() - this.#blockSince > limits.headersTimeoutMs) {
      this.#end(errorCodes.enhanceYourCalm);
    } else if (!this.#settled) {
      if (elapsed > limits.headersTimeoutMs) this.#end(errorCodes.none);
    } else if (this.#streams.areAtRest && elapsed > limits.keepAliveTimeoutMs) {
      this.#end(errorCodes.none);
    } else {
      this.#streams.endOverdue();
    }
  }

  /** Says goodbye, and breaks off everything under way. */
  destroy(): void {
    if (!this.#ending) this.#end(errorCodes.none);
    this.#socket.destroy();
  }

  onRefuse(refusal: Refusal): void {
    this.#options.onRefuse(refusal);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#ending) return;
    try {
      this.#reader.read(chunk);
    } catch (error) {
      if (!(error instanceof ConnectionError)) this.#options.onError(error);
      this.#end(error instanceof ConnectionError ? error.code : errorCodes.internal);
    }
    // What we answer, refusals above all, must not pile up for a client that does not read.
    if (this.#socket.writableLength > mostUnread) this.#socket.pause();
  };

  readonly #onDrain = (): void => {
    this.#socket.resume();
    this.#streams.proceed();
  };

  readonly #onGone = (): void => {
    this.#end(errorCodes.none);
  };

  frame(type: number, flagBits: number, streamId: number, payload: Buffer): void {
    demand(this.#settled || type === types.settings, errorCodes.protocol, 'no SETTINGS');
    demand(!this.#blocks.awaited || type === types.continuation, errorCodes.protocol, 'no continuation');
    switch (type) {
      case types.headers:
        demand(streamId % 2 === 1, errorCodes.protocol, 'HEADERS on a stream that is not the client’s');
        this.#onBlock(this.#blocks.headers(streamId, flagBits, payload));
        if (this.#blocks.awaited) this.#blockSince = this.#options.now();
        return;
      case types.continuation:
        this.#onBlock(this.#blocks.continuation(streamId, flagBits, payload));
        return;
      case types.priority:
        demand(streamId !== 0, errorCodes.protocol, 'the priority of the connection');
        demand(payload.length === 5, errorCodes.frameSize, 'the size of a PRIORITY');
        return;
      case types.rstStream:
        this.#streams.resetByClient(streamId, payload);
        return;
      case types.settings:
        this.#onSettings(flagBits, streamId, payload);
        return;
      case types.ping:
        demand(streamId === 0, errorCodes.protocol, 'a PING on a stream');
        demand(payload.length === 8, errorCodes.frameSize, 'the size of a PING');
        if ((flagBits & frames.flags.ack) !== 0) return;
        this.#strike();
        this.#outbox.push(frames.pingAck(payload));
        return;
      case types.goaway:
        demand(streamId === 0, errorCodes.protocol, 'GOAWAY on a stream');
        demand(payload.length >= 8, errorCodes.frameSize, 'the size of a GOAWAY');
        return;
      case types.windowUpdate:
        this.#streams.windowOpened(streamId, payload);
        return;
      case types.pushPromise:
        throw new ConnectionError(errorCodes.protocol, 'a client that pushes');
    }
  }

  dataBegins(streamId: number, length: number, endStream: boolean): void {
    demand(this.#settled && !this.#blocks.awaited, errorCodes.protocol, 'DATA out of place');
    this.#streams.dataBegins(streamId, length, endStream);
  }

  data(piece: Buffer): void {
    this.#streams.data(piece);
  }

  dataEnds(): void {
    this.#streams.dataEnds();
  }

  #onBlock(block: HeaderBlock | undefined): void {
    if (block === undefined) return;
    const { streamId, bytes, endStream } = block;
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#onTrailers(stream, bytes, endStream);
    else if (streamId > this.#streams.last) this.#onRequest(block);
    else {
      this.#streams.demandUnfinished(streamId, endStream);
      this.#read(() => this.#heads.skip(bytes));
    }
  }

  #onRequest({ streamId, bytes, endStream }: HeaderBlock): void {
    const head = this.#read(() => this.#heads.request(bytes));
    const length = head instanceof Error || head.protocol !== undefined ? undefined : head.length;
    const stream = this.#streams.begin(streamId, endStream, length);
    if (this.#streams.areTooMany) this.#streams.reset(stream, errorCodes.refusedStream);
    else if (head instanceof OversizedMessage) this.#refuseOversized(stream);
    else if (head instanceof Error || (endStream && length !== undefined && Number(length) > 0)) {
      this.#streams.reset(stream, errorCodes.protocol);
    } else this.#serve(stream, head);
  }

  #serve(stream: ServerStream, head: RequestHead): void {
    const exchange = new ServerExchange(stream, head, this);
    if (head.protocol === undefined) this.#options.serve(exchange);
    else this.#options.upgrade(upgradeOverH2(stream, head, exchange));
  }

  #refuseOversized(stream: ServerStream): void {
    this.#strike();
    const exchange = new ServerExchange(stream, oversizedHead, this);
    exchange.refuse(refusals.headersTooLarge);
  }

  #onTrailers(stream: ServerStream, block: Buffer, endStream: boolean): void {
    const trailers = this.#read(() => this.#heads.trailers(block));
    if (!stream.receives) this.#streams.reset(stream, errorCodes.streamClosed);
    else if (trailers instanceof Error || !endStream) this.#streams.reset(stream, errorCodes.protocol);
    else stream.ended(trailers);
  }

  /** @returns the error of a message that is malformed, after which the connection goes on */
  #read<Read>(step: () => Read): Read | MalformedMessage | OversizedMessage {
    try {
      return step();
    } catch (error) {
      if (error instanceof MalformedMessage || error instanceof OversizedMessage) return error;
      throw error;
    }
  }

  #onSettings(flagBits: number, streamId: number, payload: Buffer): void {
    demand(streamId === 0, errorCodes.protocol, 'SETTINGS on a stream');
    if ((flagBits & frames.flags.ack) !== 0) {
      demand(payload.length === 0, errorCodes.frameSize, 'settings in an acknowledgement');
      demand(this.#settled, errorCodes.protocol, 'an acknowledgement before the SETTINGS');
      return;
    }
    const window = readSettings(payload);
    if (this.#settled) this.#strike();
    this.#settled = true;
    this.#outbox.push(frames.settingsAck);
    if (window !== undefined) this.#streams.resizeWindows(window);
  }

  #strike(): void {
    const { now } = this.#options;
    demand(this.#budget.spend(now()), errorCodes.enhanceYourCalm, 'too much for nothing');
  }

  #end(code: ErrorCode): void {
    if (this.#ending) return;
    this.#outbox.push(frames.goawayFrame(this.#streams.last, code));
    this.#ending = true;
    this.#since = this.#options.now();
    this.#socket.once('finish', () => {
      this.#since = this.#options.now();
    });
    this.#streams.end();
    this.#outbox.end();
    // What still comes is thrown away, so that the farewell is not lost with it.
    this.#socket.resume();
  }
}

function settingsFor(
  limits: ServerConnectionOptions['limits'],
): ReadonlyArray<readonly [id: number, value: number]> {
  const ids = frames.settingIds;
  return [
    [ids.maxConcurrentStreams, limits.concurrentStreams],
    [ids.initialWindowSize, limits.streamWindowBytes],
    [ids.maxHeaderListSize, limits.headerBytes],
    [ids.enableConnectProtocol, 1],
  ];
}
