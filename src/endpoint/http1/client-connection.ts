import type { Duplex } from 'node:stream';
import type { BodyFraming } from '../exchange.ts';
import { type HeaderList, valuesOf } from '../headers.ts';
import type { EndpointLimits } from '../options.ts';
import type { UpstreamCall, UpstreamEvents } from '../upstream.ts';
import type { BodyDecoder } from './body-decoder.ts';
import { BodyWriter } from './body-writer.ts';
import { isPersistent, responseBody } from './framing.ts';
import { parseResponseHead, type ResponseHead, requestHeadText } from './head.ts';
import { HeadReader } from './head-reader.ts';
import { Outbox } from './outbox.ts';

/** A request as it is written. */
export interface ClientRequest {
  readonly method: string;
  readonly path: string;
  /** All of them, those of the framing too. */
  readonly headers: HeaderList;
  readonly framing: BodyFraming;
}

/** The application agreed to another protocol; what it sent right behind its answer is in the stream. */
export type OnSwitch = (headers: HeaderList, stream: Duplex) => void;

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
  #call: Call | undefined;

  constructor(stream: Duplex, limits: Pick<EndpointLimits, 'headerBytes' | 'headerCount'>) {
    this.#stream = stream;
    this.#limits = limits;
    this.#outbox = new Outbox(stream);
    this.#head = new HeadReader(limits.headerBytes, 'HTTP/1.');
    stream.on('data', this.#onData);
    stream.on('drain', this.#onDrain);
    stream.on('end', this.#onEnd);
    stream.on('error', this.#onClose);
    stream.on('close', this.#onClose);
  }

  /**
   * @param onSwitch without it a change of protocol is an error
   * @throws {MalformedMessage} the head holds what HTTP/1.1 has no place for; nothing was sent
   */
  send(request: ClientRequest, events: UpstreamEvents, onSwitch?: OnSwitch): UpstreamCall {
    const { framing, method, path, headers } = request;
    const text = requestHeadText(method, path, headers);
    const writer = framing === 'none' ? undefined : new BodyWriter(this.#outbox, outgoing(framing));
    const call: Call = { method, events, onSwitch, writer, body: undefined, responded: false, lasts: false };
    this.#call = call;
    this.#outbox.push(text);
    if (writer === undefined) this.#outbox.flush();
    return {
      // An application that has answered may not want the rest.
      write: (chunk) => this.#call !== call || writer === undefined || writer.write(chunk),
      finish: (trailers) => {
        if (this.#call !== call) return;
        writer?.end(trailers);
        call.writer = undefined;
      },
      resume: () => {
        if (this.#call === call) this.#stream.resume();
      },
      abort: () => {
        if (this.#call === call) this.destroy();
      },
    };
  }

  destroy(): void {
    this.#call = undefined;
    this.#stream.destroy();
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
    const head = parseResponseHead(text);
    if (head.fields.length > this.#limits.headerCount * 2) throw new Error('too many headers');
    if (head.status === 101) return this.#switch(call, head, rest);
    if (head.status >= 100 && head.status < 200) {
      call.events.inform(head.status, head.fields);
      return rest;
    }
    const body = responseBody(head, call.method, this.#limits.headerBytes);
    call.responded = true;
    call.body = body;
    call.lasts = isPersistent(head);
    call.events.respond({
      status: head.status,
      reason: head.reason,
      headers: head.fields,
      length: valuesOf(head.fields, 'content-length')[0],
      bodyless: body === undefined,
    });
    if (body === undefined) this.#complete(call, rest.length > 0);
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
    if (surplus || !call.lasts || call.writer !== undefined) this.#stream.destroy();
    else if (this.onIdle === undefined) this.#stream.destroy();
    else this.onIdle();
  }

  #switch(call: Call, head: ResponseHead, rest: Buffer): Buffer {
    const stream = this.#stream;
    if (call.onSwitch === undefined) throw new Error('a change of protocol nobody asked for');
    stream.off('data', this.#onData);
    stream.off('drain', this.#onDrain);
    stream.off('end', this.#onEnd);
    stream.off('error', this.#onClose);
    stream.off('close', this.#onClose);
    this.#call = undefined;
    if (rest.length > 0) stream.unshift(rest);
    call.onSwitch(head.fields, stream);
    return nothing;
  }

  readonly #onDrain = (): void => this.#call?.events.drain();

  readonly #onEnd = (): void => {
    const call = this.#call;
    if (call?.body?.endsWithConnection === true) {
      this.#call = undefined;
      this.#stream.destroy();
      call.events.finish([]);
    } else {
      this.#fail(new Error('the connection was closed'));
    }
  };

  readonly #onClose = (error?: unknown): void =>
    this.#fail(error instanceof Error ? error : new Error('the connection was closed'));

  #fail(error: Error): void {
    const call = this.#call;
    if (call === undefined) {
      this.#gone();
    } else {
      this.destroy();
      call.events.fail(error);
    }
  }

  #gone(): void {
    this.destroy();
    const { onGone } = this;
    this.onGone = undefined;
    onGone?.();
  }
}

interface Call {
  readonly method: string;
  readonly events: UpstreamEvents;
  readonly onSwitch: OnSwitch | undefined;
  /** Until the request is complete. */
  writer: BodyWriter | undefined;
  /** Of the response, if it has one. */
  body: BodyDecoder | undefined;
  responded: boolean;
  /** Whether the connection can be used again. */
  lasts: boolean;
}

function outgoing(framing: Exclude<BodyFraming, 'none'>): number | 'chunked' {
  return framing === 'streamed' ? 'chunked' : Number(framing.length);
}

const nothing = Buffer.alloc(0);
