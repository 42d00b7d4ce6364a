import { Departure } from '../departure.ts';
import type { BodyFraming, BodySink, Exchange } from '../exchange.ts';
import { type HeaderList, membersOf, valuesOf } from '../headers.ts';
import { BodyWriter, type OutgoingFraming } from './body-writer.ts';
import { dateNow } from './date.ts';
import { type RequestHead, responseHeadText } from './head.ts';
import type { Outbox } from './outbox.ts';

/** The connection an exchange takes place on, as the exchange sees it. */
export interface ExchangeChannel {
  readonly serverName: string | undefined;
  readonly outbox: Outbox;
  /** Value of the response's `keep-alive`. */
  readonly keepAlive: string;
  /** Whether all of the request's body has come. */
  readonly requestIsComplete: boolean;
  /** Whether the connection ends with this exchange. */
  lasts: boolean;
  /** The body has somewhere to go, or may go on. */
  readBody(): void;
  /** The response is complete. */
  responseIsComplete(): void;
  destroy(): void;
}

/** One request over HTTP/1.1 and its response. */
export class ServerExchange implements Exchange {
  readonly method: string;
  readonly path: string;
  readonly headers: HeaderList;
  readonly framing: BodyFraming;
  readonly left = new Departure();
  /** Takes the request's body, once somebody wants it. */
  bodySink: BodySink | undefined;
  /** Called when the client takes more of the response. */
  onDrain: (() => void) | undefined;
  readonly #channel: ExchangeChannel;
  readonly #version: '1.0' | '1.1';
  #writer: BodyWriter | undefined;
  #responded = false;
  #over = false;
  #onOver: (() => void) | undefined;

  constructor(head: RequestHead, channel: ExchangeChannel) {
    this.method = head.method;
    this.path = head.target;
    this.headers = head.fields;
    this.framing = framingOf(head.fields);
    this.#version = head.version;
    this.#channel = channel;
  }

  get authority(): string | undefined {
    const hosts = valuesOf(this.headers, 'host');
    return hosts.length === 1 ? hosts[0] : undefined;
  }

  get serverName(): string | undefined {
    return this.#channel.serverName;
  }

  get expectsContinue(): boolean {
    return membersOf(this.headers, 'expect').some((value) => value.toLowerCase() === '100-continue');
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
    this.#channel.readBody();
  }

  resumeBody(): void {
    this.#channel.readBody();
  }

  inform(status: number, headers: HeaderList): void {
    if (this.#version === '1.0' || this.#responded) return;
    this.#channel.outbox.push(responseHeadText(status, '', headers));
  }

  respond(status: number, reason: string, headers: HeaderList, bodyless: boolean, onDrain: () => void): void {
    if (this.#over) return;
    const framing = bodyless ? 0 : this.#framingOfResponse(headers);
    const fields = [...headers];
    if (framing === 'chunked') fields.push('Transfer-Encoding', 'chunked');
    else if (framing === 'endless') this.#channel.lasts = false;
    else if (bodyless && this.#mustTellLength(status, headers)) fields.push('Content-Length', '0');
    this.#sendHead(status, reason, fields);
    if (bodyless) {
      this.#complete();
      return;
    }
    this.onDrain = onDrain;
    this.#writer = new BodyWriter(this.#channel.outbox, framing);
  }

  write(chunk: Uint8Array): boolean {
    return this.#over || this.#writer === undefined || this.#writer.write(chunk);
  }

  finish(trailers: HeaderList): void {
    if (this.#over) return;
    this.#writer?.end(trailers);
    this.#complete();
  }

  refuse(status: number, headers: HeaderList, body: string): void {
    // A body is not read to its end only to keep the connection.
    if (!this.#channel.requestIsComplete) this.#channel.lasts = false;
    this.#sendHead(status, '', headers);
    if (this.method !== 'HEAD' && body !== '') this.#channel.outbox.push(body);
    this.#complete();
  }

  abort(): void {
    this.#channel.destroy();
  }

  /** The connection is gone. */
  end(): void {
    if (this.#over) return;
    this.#settle();
    this.left.happen();
  }

  #framingOfResponse(headers: HeaderList): OutgoingFraming {
    const length = valuesOf(headers, 'content-length')[0];
    if (length !== undefined) return Number(length);
    return this.#version === '1.1' ? 'chunked' : 'endless';
  }

  /** Without a length, a client takes what follows for the body of a response that may have one. */
  #mustTellLength(status: number, headers: HeaderList): boolean {
    if (this.method === 'HEAD' || status === 204 || status === 304) return false;
    return valuesOf(headers, 'content-length').length === 0;
  }

  #sendHead(status: number, reason: string, headers: HeaderList): void {
    const channel = this.#channel;
    const fields = [...headers];
    if (valuesOf(headers, 'date').length === 0) fields.push('Date', dateNow());
    if (!channel.lasts) fields.push('Connection', 'close');
    else fields.push('Connection', 'keep-alive', 'Keep-Alive', channel.keepAlive);
    const text = responseHeadText(status, reason, fields);
    this.#responded = true;
    channel.outbox.push(text);
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

function framingOf(headers: HeaderList): BodyFraming {
  if (valuesOf(headers, 'transfer-encoding').length > 0) return 'streamed';
  const length = valuesOf(headers, 'content-length')[0];
  return length === undefined ? 'none' : { length };
}
