import { randomUUID } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { breakOff } from '../break-off.ts';
import type { Exchange } from '../exchange.ts';
import type { EndpointLimits } from '../options.ts';
import { Presence } from '../presence.ts';
import { type Refusal, refusalHeaders, refusals } from '../refusals.ts';
import { serverNameOf } from '../server-name.ts';
import { TokenMemory } from '../tokens.ts';
import type { UpgradeClient } from '../upgrade-client.ts';
import type { BodyDecoder } from './body-decoder.ts';
import { decoderOf, UnsupportedCoding } from './framing.ts';
import { MalformedMessage, OversizedMessage } from './grammar.ts';
import { parseRequestHead, type RequestHead, type RequestSection, responseHeadText } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { Outbox } from './outbox.ts';
import { ServerExchange } from './server-exchange.ts';
import { upgradeOverH1 } from './server-upgrade.ts';

export interface ServerConnectionOptions {
  readonly limits: Pick<
    EndpointLimits,
    'headerBytes' | 'headersTimeoutMs' | 'keepAliveTimeoutMs' | 'idleTimeoutMs' | 'totalTimeMs'
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

/** Bytes kept that came before they are wanted; more wait in the socket. */
const mostHeld = 16 * 1024;
/** How often a connection is looked at within the time that it may be silent. */
const looks = 8;
/** Time a client has to read the answer that ends its connection. */
const lingerMs = 2000;

/** What a connection is doing: its time limit depends on it. */
type Phase = 'first head' | 'idle' | 'head' | 'exchange' | 'handed over' | 'ending';

/** Serves one client over HTTP/1.1: one request after the other, in order. */
export class ServerConnection {
  readonly serverName: string | undefined;
  readonly memory = new TokenMemory();
  readonly presence = new Presence();
  readonly outbox: Outbox;
  readonly keepAlive: string;
  lasts = true;
  readonly #socket: TLSSocket;
  readonly #options: ServerConnectionOptions;
  readonly #head: HeadReader;
  #phase: Phase = 'first head';
  /** When the phase began; in the middle of an exchange, when it was last looked at. */
  #since: number;
  /** When the last request began. */
  #begun = 0;
  /** Bytes that had passed when it was last looked at, and how often it has been the same number. */
  #bytes = 0;
  #silentLooks = 0;
  /** Of the last request. */
  #section: RequestSection | undefined;
  #exchange: ServerExchange | undefined;
  /** Of the request under way, until its end has come. */
  #body: BodyDecoder | undefined;
  #held: Buffer | undefined;
  #reading = false;
  /** Bytes the client had not taken when its end was last looked at. */
  #unsent: number | undefined;

  constructor(socket: TLSSocket, options: ServerConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#head = new HeadReader(options.limits.headerBytes);
    this.#since = options.now();
    this.serverName = serverNameOf(socket);
    this.outbox = new Outbox(socket);
    const seconds = Math.floor(options.limits.keepAliveTimeoutMs / 1000);
    this.keepAlive = `Connection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n\r\n`;
    socket.on('data', this.#onData);
    socket.on('drain', this.#onDrain);
    socket.once('end', this.#onGone);
    socket.once('close', this.#onGone);
  }

  get requestIsComplete(): boolean {
    return this.#body === undefined;
  }

  /** Ends what takes too long. Call it now and then. */
  checkTime(): void {
    const { limits, now } = this.#options;
    const time = now();
    const elapsed = time - this.#since;
    switch (this.#phase) {
      case 'first head':
      case 'head':
        if (elapsed > limits.headersTimeoutMs) this.#refuse(refusals.requestTimeout);
        return;
      case 'idle':
        if (elapsed > limits.keepAliveTimeoutMs) this.#end();
        return;
      case 'ending':
        this.#checkFarewell(elapsed);
        return;
      default:
        if (time - this.#begun > limits.totalTimeMs) this.#expire();
        else if (elapsed > limits.idleTimeoutMs / looks) this.#checkSilence();
    }
  }

  #expire(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) this.breakOff();
    else this.#refuse(refusals.overdue);
  }

  /** Looks now and then whether any byte has passed: a timer would be wound up again for each of them. */
  #checkSilence(): void {
    const socket = this.#socket;
    const bytes = socket.bytesRead + socket.bytesWritten;
    this.#since = this.#options.now();
    this.#silentLooks = bytes === this.#bytes ? this.#silentLooks + 1 : 0;
    this.#bytes = bytes;
    if (this.#silentLooks >= looks) socket.destroy();
  }

  /** Waits as long as the client takes something of what is left, and lingers once it has everything. */
  #checkFarewell(elapsed: number): void {
    const socket = this.#socket;
    const most = socket.writableFinished ? lingerMs : this.#options.limits.keepAliveTimeoutMs;
    if (socket.writableLength !== this.#unsent) {
      this.#unsent = socket.writableLength;
      this.#since = this.#options.now();
    } else if (elapsed > most) socket.destroy();
  }

  readBody(): void {
    this.#socket.resume();
    this.#readHeld();
  }

  responseIsComplete(): void {
    if (!this.lasts) this.#end();
    else if (this.#body === undefined) this.#next();
    // What is left of a request that has been answered is read for the sake of the one behind it.
    else this.readBody();
  }

  onRefuse(refusal: Refusal): void {
    this.#options.onRefuse(refusal);
  }

  breakOff(): void {
    breakOff(this.#socket);
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** Gives the connection away, with the bytes that came behind the request. */
  handOver(): { readonly socket: TLSSocket; readonly rest: Buffer } {
    const socket = this.#socket;
    this.#phase = 'handed over';
    socket.off('data', this.#onData);
    socket.off('drain', this.#onDrain);
    socket.off('end', this.#onGone);
    socket.off('close', this.#onGone);
    this.#exchange = undefined;
    this.#section = undefined;
    const rest = this.#held ?? nothing;
    this.#held = undefined;
    // Node resumes it for the next reader only if it was not paused on purpose.
    if (socket.isPaused()) socket.resume();
    return { socket, rest };
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.#phase === 'ending') return;
    this.#held = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#readHeld();
    if (this.#held !== undefined && this.#held.length >= mostHeld) this.#socket.pause();
  };

  readonly #onDrain = (): void => this.#exchange?.onDrain?.();

  readonly #onGone = (): void => {
    // A client that has only stopped sending has left as well: most that go do not say more than that.
    if (this.#exchange === undefined || this.#exchange.isOver) this.#end();
    else this.#socket.destroy();
    this.#exchange?.end();
  };

  /** Reads as far as there is somebody to read for. */
  #readHeld(): void {
    if (this.#reading) return;
    this.#reading = true;
    try {
      while (this.#held !== undefined && this.#readSome(this.#held));
    } catch (error) {
      this.#held = undefined;
      this.#fail(error);
    } finally {
      this.#reading = false;
    }
  }

  /** @returns whether there may be more to do */
  #readSome(bytes: Buffer): boolean {
    if (this.#phase === 'ending' || this.#phase === 'handed over') return false;
    if (this.#exchange === undefined) return this.#readHead(bytes);
    if (this.#body !== undefined) return this.#readBody(this.#exchange, this.#body, bytes);
    return false;
  }

  #readHead(bytes: Buffer): boolean {
    this.#held = undefined;
    if (!this.#readWhole(bytes)) {
      if (this.#phase === 'idle') this.#enter('head');
      return false;
    }
    if (this.#head.rest.length > 0) this.#held = this.#head.rest;
    this.#begin(parseRequestHead(this.#head.text, this.#section));
    return true;
  }

  /** @returns whether the head is complete */
  #readWhole(bytes: Buffer): boolean {
    // Empty lines before a request are not worth an error (RFC 9112, section 2.2).
    const wanted = this.#head.begun ? bytes : withoutEmptyLines(bytes);
    if (wanted.length === 1 && !this.#head.begun) {
      // Half of an empty line, or the first byte of a request: it can wait for the next.
      this.#held = wanted;
      return false;
    }
    return wanted.length > 0 && this.#head.read(wanted);
  }

  #begin(head: RequestHead): void {
    const { section } = head;
    this.#section = section;
    this.#body = decoderOf(section.framing ?? 0, this.#options.limits.headerBytes);
    this.lasts = section.persistent;
    this.#enter('exchange');
    this.#begun = this.#since;
    const exchange = new ServerExchange(head, this);
    this.#exchange = exchange;
    if (!section.upgrade) {
      this.#options.serve(exchange);
      return;
    }
    // What is behind the head may be of the other protocol.
    this.lasts = false;
    this.#options.upgrade(upgradeOverH1(exchange, head, this, this.#socket));
  }

  #readBody(exchange: ServerExchange, body: BodyDecoder, bytes: Buffer): boolean {
    const answered = exchange.isOver;
    const sink = exchange.bodySink;
    if (sink === undefined && !answered) return false;
    const payload: Buffer[] = [];
    const rest = body.decode(bytes, payload);
    this.#held = rest.length === 0 ? undefined : rest;
    const [first] = payload;
    if (!answered && first !== undefined) {
      if (sink?.write(payload.length === 1 ? first : Buffer.concat(payload)) === false) this.#socket.pause();
    }
    if (!body.done) return this.#held !== undefined;
    this.#body = undefined;
    if (exchange.isOver) this.#next();
    else sink?.finish(body.trailers);
    return true;
  }

  #next(): void {
    this.#exchange = undefined;
    this.#enter('idle');
    this.#socket.resume();
    this.#readHeld();
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#since = this.#options.now();
  }

  #fail(error: unknown): void {
    if (error instanceof OversizedMessage) this.#refuse(refusals.headersTooLarge);
    else if (error instanceof UnsupportedCoding) this.#refuse(refusals.unsupportedTransferEncoding);
    else if (error instanceof MalformedMessage) this.#refuse(refusals.malformedRequest);
    else {
      this.#options.onError(error);
      this.#socket.destroy();
    }
  }

  /** Answers what is no request, and ends the connection: nobody knows where the next one would begin. */
  #refuse(refusal: Refusal): void {
    const exchange = this.#exchange;
    this.lasts = false;
    if (exchange === undefined) {
      this.onRefuse(refusal);
      const fields = [...refusalHeaders(refusal, randomUUID()), 'Connection', 'close'];
      this.outbox.push(responseHeadText(refusal.status, fields));
      this.outbox.push(refusal.body);
      this.#end();
    } else if (exchange.isOver) {
      this.#end();
    } else {
      // The application must not take what it has got of the body for all of it.
      exchange.left.happen();
      if (exchange.responded()) exchange.abort();
      else exchange.refuse(refusal);
    }
  }

  #end(): void {
    if (this.#phase === 'ending') return;
    this.#enter('ending');
    this.#held = undefined;
    this.outbox.end();
    // What still comes is thrown away, so that the answer is not lost with it.
    this.#socket.resume();
  }
}

function withoutEmptyLines(bytes: Buffer): Buffer {
  let at = 0;
  while (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) at += 2;
  return at === 0 ? bytes : bytes.subarray(at);
}

const nothing = Buffer.alloc(0);
