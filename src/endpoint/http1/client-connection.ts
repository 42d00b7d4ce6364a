import type { Duplex } from 'node:stream';
import { hangUp } from '../../guest/hang-up.ts';
import type { BodyFraming } from '../exchange.ts';
import type { HeaderList } from '../headers.ts';
import type { EndpointLimits } from '../options.ts';
import type { UpstreamCall, UpstreamEvents } from '../upstream.ts';
import type { BodyDecoder } from './body-decoder.ts';
import { BodyWriter } from './body-writer.ts';
import { decoderOf } from './framing.ts';
import { parseResponseHead, type ResponseHead } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { Outbox } from './outbox.ts';

/** A request as it is written. */
export interface ClientRequest {
  readonly method: string;
  /** From the request line to the empty line. */
  readonly head: string;
  readonly framing: BodyFraming;
}

/** The application agreed to another protocol; what it sent right behind its answer is in the stream. */
export type OnSwitch = (headers: HeaderList, stream: Duplex) => void;

export interface CallOptions {
  /** Without it a change of protocol is an error. */
  readonly onSwitch?: OnSwitch | undefined;
  /** Takes the place of a failure: the application has closed the connection before it said anything. */
  readonly onUnheard?: ((error: Error) => void) | undefined;
}

/** Sends requests over a connection into a guest, one after the other. */
export class ClientConnection {
  /** Called when the connection can serve another request. */
  onIdle: (() => void) | undefined;
  /** Called when it ends while it is idle. */
  onGone: (() => void) | undefined;
  readonly #stream: Duplex;
  readonly #outbox: Outbox;
  readonly #limits: Pick<EndpointLimits, 'headerBytes' | 'headerCount'>;
  readonly #head: HeadReader;
  /** Head of the last response. */
  #last: ResponseHead | undefined;
  #call: Call | undefined;

  constructor(stream: Duplex, limits: Pick<EndpointLimits, 'headerBytes' | 'headerCount'>) {
    this.#stream = stream;
    this.#limits = limits;
    this.#outbox = new Outbox(stream);
    this.#head = new HeadReader(limits.headerBytes, 'HTTP/1.', lineEnds);
    stream.on('data', this.#onData);
    stream.on('drain', this.#onDrain);
    stream.on('end', this.#onEnd);
    stream.on('error', this.#onClose);
    stream.on('close', this.#onClose);
  }

  send(request: ClientRequest, events: UpstreamEvents, options: CallOptions): UpstreamCall {
    const { framing, method, head } = request;
    const writer = framing === 'none' ? undefined : new BodyWriter(this.#outbox, outgoing(framing));
    const call = new Call(this, method, events, options, writer);
    this.#call = call;
    if (writer === undefined) {
      this.#outbox.add(head);
      this.#outbox.flush();
    } else {
      this.#outbox.push(head);
    }
    return call;
  }

  /** The call under way. */
  get call(): UpstreamCall | undefined {
    return this.#call;
  }

  resume(): void {
    this.#stream.resume();
  }

  destroy(): void {
    this.#call = undefined;
    this.#stream.destroy();
  }

  /** Ends it with nothing under way: the application sees a client that has left, and no reset. */
  end(): void {
    this.#call = undefined;
    this.#leave();
    hangUp(this.#stream);
  }

  readonly #onData = (chunk: Buffer): void => {
    try {
      for (let rest = chunk; rest.length > 0; ) {
        const call = this.#call;
        if (call === undefined) {
          // Nobody has asked for it.
          this.#gone();
          return;
        }
        rest = call.responded ? this.#readBody(call, rest) : this.#readHead(call, rest);
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  };

  #readHead(call: Call, bytes: Buffer): Buffer {
    if (!this.#head.read(bytes)) return nothing;
    const { text, rest } = this.#head;
    const head = parseResponseHead(text, this.#last);
    const { status, reason, fields, length } = head;
    if (fields.list.length > this.#limits.headerCount * 2) throw new Error('too many headers');
    if (status === 101) return this.#switch(call, fields.list, rest);
    call.heard = true;
    if (status >= 100 && status < 200) {
      call.events.inform(status, fields.list);
      return rest;
    }
    this.#last = head;
    const empty = call.method === 'HEAD' || status === 204 || status === 304;
    call.body = empty ? undefined : decoderOf(head.framing, this.#limits.headerBytes, lineEnds);
    call.responded = true;
    call.lasts = head.persistent;
    const bodyless = call.body === undefined;
    // A body of a known length has a first piece in whatever is behind the head.
    const bodyFollows = rest.length > 0 && typeof head.framing === 'number';
    call.events.respond({ status, reason, fields, length, bodyless, bodyFollows });
    if (bodyless) this.#complete(call, rest.length > 0);
    return rest;
  }

  #readBody(call: Call, bytes: Buffer): Buffer {
    const { body, events } = call;
    if (body === undefined) return nothing;
    const payload: Buffer[] = [];
    const rest = body.decode(bytes, payload);
    const [first] = payload;
    if (first !== undefined) {
      const whole = payload.length === 1 ? first : Buffer.concat(payload);
      if (!events.write(whole) && !body.done) this.#stream.pause();
    }
    if (!body.done || this.#call !== call) return rest;
    this.#complete(call, rest.length > 0);
    events.finish(body.trailers);
    return rest;
  }

  /** @param surplus whether something came behind the response */
  #complete(call: Call, surplus: boolean): void {
    if (this.#call !== call) return;
    this.#call = undefined;
    // A request still on its way would be taken for the next one.
    if (surplus || call.writer !== undefined) this.#stream.destroy();
    else if (!call.lasts || this.onIdle === undefined) this.end();
    else this.onIdle();
  }

  #switch(call: Call, headers: HeaderList, rest: Buffer): Buffer {
    const stream = this.#stream;
    if (call.options.onSwitch === undefined) throw new Error('a change of protocol nobody asked for');
    this.#leave();
    this.#call = undefined;
    if (rest.length > 0) stream.unshift(rest);
    call.options.onSwitch(headers, stream);
    return nothing;
  }

  /** Leaves the stream to others. */
  #leave(): void {
    const stream = this.#stream;
    stream.off('data', this.#onData);
    stream.off('drain', this.#onDrain);
    stream.off('end', this.#onEnd);
    stream.off('error', this.#onClose);
    stream.off('close', this.#onClose);
  }

  readonly #onDrain = (): void => this.#call?.events.drain();

  readonly #onEnd = (): void => {
    const call = this.#call;
    if (call?.body?.endsWithConnection === true) {
      this.end();
      call.events.finish([]);
    } else {
      this.#fail(new Error('the connection was closed'), true);
    }
  };

  readonly #onClose = (error?: unknown): void => {
    if (error instanceof Error) this.#fail(error, 'code' in error && resets.has(error.code));
    else this.#fail(new Error('the connection was closed'));
  };

  /** @param byApplication and not because the microVM went away, with a request that it may have taken up */
  #fail(error: Error, byApplication = false): void {
    const call = this.#call;
    if (call === undefined) {
      this.#gone();
    } else {
      this.destroy();
      if (call.heard || !byApplication || call.options.onUnheard === undefined) call.events.fail(error);
      else call.options.onUnheard(error);
    }
  }

  #gone(): void {
    if (this.#stream.readableEnded) this.end();
    else this.destroy();
    const { onGone } = this;
    this.onGone = undefined;
    onGone?.();
  }
}

/** One request on the connection, and what becomes of it. */
class Call implements UpstreamCall {
  readonly method: string;
  readonly events: UpstreamEvents;
  readonly options: CallOptions;
  /** The application has said something. */
  heard = false;
  /** Until the request is complete. */
  writer: BodyWriter | undefined;
  /** Of the response, if it has one. */
  body: BodyDecoder | undefined;
  responded = false;
  /** Whether the connection can be used again. */
  lasts = false;
  readonly #connection: ClientConnection;

  constructor(
    connection: ClientConnection,
    method: string,
    events: UpstreamEvents,
    options: CallOptions,
    writer: BodyWriter | undefined,
  ) {
    this.#connection = connection;
    this.method = method;
    this.events = events;
    this.options = options;
    this.writer = writer;
  }

  write(chunk: Uint8Array): boolean {
    // An application that has answered may not want the rest.
    return this.#isOver || this.writer === undefined || this.writer.write(chunk);
  }

  finish(trailers: HeaderList): void {
    if (this.#isOver) return;
    this.writer?.end(trailers);
    this.writer = undefined;
  }

  resume(): void {
    if (!this.#isOver) this.#connection.resume();
  }

  abort(): void {
    if (!this.#isOver) this.#connection.destroy();
  }

  get #isOver(): boolean {
    return this.#connection.call !== this;
  }
}

function outgoing(framing: Exclude<BodyFraming, 'none'>): number | 'chunked' {
  return framing === 'streamed' ? 'chunked' : Number(framing.length);
}

/** What applications written by hand send. */
const lineEnds = 'CR LF or LF';
const resets: ReadonlySet<unknown> = new Set(['ECONNRESET', 'EPIPE']);
const nothing = Buffer.alloc(0);
