import { randomUUID } from 'node:crypto';
import { Departure } from '../departure.ts';
import type { BodyFraming, BodySink, Exchange } from '../exchange.ts';
import type { RequestFields } from '../fields.ts';
import { type HeaderList, requestIdHeader } from '../headers.ts';
import type { Presence } from '../presence.ts';
import { type Refusal, refusalHeaders } from '../refusals.ts';
import type { TokenMemory } from '../tokens.ts';
import type { UpstreamResponse } from '../upstream.ts';
import { BodyWriter } from './body-writer.ts';
import { dateNow } from './date.ts';
import type { Framing, Version } from './framing.ts';
import { fieldText } from './grammar.ts';
import { type RequestHead, responseHeadText, statusLine } from './head.ts';
import type { Outbox } from './outbox.ts';

/** The connection an exchange takes place on, as the exchange sees it. */
export interface ExchangeChannel {
  readonly serverName: string | undefined;
  readonly memory: TokenMemory;
  readonly presence: Presence;
  readonly outbox: Outbox;
  /** The end of the head of a response after which the connection stays. */
  readonly keepAlive: string;
  /** Whether all of the request's body has come. */
  readonly requestIsComplete: boolean;
  /** Whether the connection ends with this exchange. */
  lasts: boolean;
  onRefuse(refusal: Refusal): void;
  /** The body has somewhere to go, or may go on. */
  readBody(): void;
  /** The response is complete. */
  responseIsComplete(): void;
  destroy(): void;
  /** Resets the connection: its end would be that of the response. */
  breakOff(): void;
}

/** One request over HTTP/1.1 and its response. */
export class ServerExchange implements Exchange {
  readonly requestId = randomUUID();
  readonly method: string;
  readonly path: string;
  readonly fields: RequestFields;
  readonly framing: BodyFraming;
  readonly left = new Departure();
  /** Takes the request's body, once somebody wants it. */
  bodySink: BodySink | undefined;
  /** Called when the client takes more of the response. */
  onDrain: (() => void) | undefined;
  readonly #channel: ExchangeChannel;
  readonly #version: Version;
  #writer: BodyWriter | undefined;
  #responded = false;
  /** The end of the connection is that of the response. */
  #endless = false;
  #over = false;
  #onOver: (() => void) | undefined;

  constructor(head: RequestHead, channel: ExchangeChannel) {
    this.method = head.method;
    this.path = head.target;
    this.fields = head.section.fields;
    this.framing = bodyFraming(head.section.framing);
    this.#version = head.section.version;
    this.#channel = channel;
  }

  get serverName(): string | undefined {
    return this.#channel.serverName;
  }

  get memory(): TokenMemory {
    return this.#channel.memory;
  }

  get presence(): Presence {
    return this.#channel.presence;
  }

  /** The response is complete, or the client gone. */
  get isOver(): boolean {
    return this.#over;
  }

  responded(): boolean {
    return this.#responded;
  }

  whenOver(callback: () => void): void {
    if (this.#over) callback();
    else this.#onOver = callback;
  }

  readBody(sink: BodySink): void {
    this.bodySink = sink;
    // A body that is announced may be empty.
    if (this.#channel.requestIsComplete) sink.finish([]);
    else this.#channel.readBody();
  }

  resumeBody(): void {
    this.#channel.readBody();
  }

  inform(status: number, headers: HeaderList): void {
    if (this.#version === '1.0' || this.#responded) return;
    this.#channel.outbox.push(responseHeadText(status, headers));
  }

  respond(response: UpstreamResponse, requestId: string, bodyless: boolean, onDrain: () => void): void {
    if (this.#over) return;
    const { status, reason, fields, length, bodyFollows } = response;
    let text = `${statusLine(status, reason)}${fields.text}${requestIdHeader}: ${requestId}\r\n`;
    let framing: Framing = 0;
    if (length !== undefined) {
      framing = Number(length);
      if (status !== 204) text += `Content-Length: ${framing}\r\n`;
    } else if (!bodyless) {
      framing = this.#version === '1.1' ? 'chunked' : 'endless';
      if (framing === 'chunked') text += 'Transfer-Encoding: chunked\r\n';
      else {
        this.#endless = true;
        this.#channel.lasts = false;
      }
    } else if (this.method !== 'HEAD' && status !== 204 && status !== 304) {
      // Without a length, a client takes what follows for the body of a response that may have one.
      text += 'Content-Length: 0\r\n';
    }
    this.#addHead(text, fields.dated);
    if (bodyless) {
      this.#complete();
      return;
    }
    this.onDrain = onDrain;
    this.#writer = new BodyWriter(this.#channel.outbox, framing);
    if (!bodyFollows) this.#channel.outbox.flushSoon();
  }

  write(chunk: Uint8Array): boolean {
    return this.#over || this.#writer === undefined || this.#writer.write(chunk);
  }

  finish(trailers: HeaderList): void {
    if (this.#over) return;
    this.#writer?.end(trailers);
    this.#complete();
  }

  refuse(refusal: Refusal): void {
    const { status, body } = refusal;
    this.#channel.onRefuse(refusal);
    // A body is not read to its end only to keep the connection.
    if (!this.#channel.requestIsComplete) this.#channel.lasts = false;
    this.#addHead(`${statusLine(status, '')}${fieldText(refusalHeaders(refusal, this.requestId))}`, false);
    if (this.method !== 'HEAD' && body !== '') this.#channel.outbox.add(body);
    this.#complete();
  }

  abort(): void {
    if (this.#endless) this.#channel.breakOff();
    else this.#channel.destroy();
  }

  /** The connection is gone. */
  end(): void {
    if (this.#over) return;
    this.#settle();
    this.left.happen();
  }

  #addHead(text: string, dated: boolean): void {
    const channel = this.#channel;
    const date = dated ? '' : `Date: ${dateNow()}\r\n`;
    this.#responded = true;
    channel.outbox.add(`${text}${date}${channel.lasts ? channel.keepAlive : 'Connection: close\r\n\r\n'}`);
  }

  #complete(): void {
    this.#channel.outbox.flush();
    this.#settle();
    this.#channel.responseIsComplete();
  }

  #settle(): void {
    this.#over = true;
    this.#onOver?.();
    this.#onOver = undefined;
  }
}

function bodyFraming(framing: number | 'chunked' | undefined): BodyFraming {
  if (framing === undefined) return 'none';
  return framing === 'chunked' ? 'streamed' : { length: String(framing) };
}
