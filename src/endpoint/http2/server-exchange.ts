import { randomUUID } from 'node:crypto';
import { Departure } from '../departure.ts';
import type { BodyFraming, BodySink, Exchange } from '../exchange.ts';
import type { RequestFields } from '../fields.ts';
import { type HeaderList, requestIdHeader } from '../headers.ts';
import { dateNow } from '../http1/date.ts';
import { MalformedMessage } from '../http1/grammar.ts';
import type { Presence } from '../presence.ts';
import { type Refusal, refusalHeaders, refusals } from '../refusals.ts';
import type { TokenMemory } from '../tokens.ts';
import type { UpstreamResponse } from '../upstream.ts';
import { errorCodes } from './errors.ts';
import { fieldName, fieldsBlock, statusBlock, uniqueField } from './hpack/encoder.ts';
import type { RequestHead } from './request-head.ts';
import type { ServerStream } from './server-stream.ts';

const requestIdName = fieldName(requestIdHeader);
const contentLength = fieldName('content-length');
const date = fieldName('date');

/** What an exchange knows of the connection it takes place on. */
export interface ExchangeOrigin {
  readonly serverName: string | undefined;
  readonly memory: TokenMemory;
  readonly presence: Presence;
  onRefuse(refusal: Refusal): void;
}

/** One request over HTTP/2 and its response. */
export class ServerExchange implements Exchange {
  readonly requestId = randomUUID();
  readonly method: string;
  readonly path: string;
  readonly fields: RequestFields;
  readonly framing: BodyFraming;
  readonly left = new Departure();
  readonly #stream: ServerStream;
  readonly #origin: ExchangeOrigin;
  #responded = false;
  /** The response is complete, be it not sent. */
  #answered = false;
  /** Bytes to come of a response of a known length. */
  #awaited: number | undefined;
  #onOver: (() => void) | undefined;

  constructor(stream: ServerStream, head: RequestHead, origin: ExchangeOrigin) {
    const isUpgrade = head.protocol !== undefined;
    // The method of the request that an HTTP/1.1 client would have sent.
    this.method = isUpgrade ? 'GET' : head.method;
    this.path = head.path;
    this.fields = head.fields;
    this.framing = isUpgrade ? 'none' : framingOf(stream, head);
    this.#stream = stream;
    this.#origin = origin;
    stream.onClose = () => this.#settle();
    stream.onOverdue = () => this.#expire();
  }

  get serverName(): string | undefined {
    return this.#origin.serverName;
  }

  get memory(): TokenMemory {
    return this.#origin.memory;
  }

  get presence(): Presence {
    return this.#origin.presence;
  }

  responded(): boolean {
    return this.#responded;
  }

  whenOver(callback: () => void): void {
    if (this.#stream.isClosed) callback();
    else this.#onOver = callback;
  }

  readBody(sink: BodySink): void {
    this.#stream.readBody(sink);
  }

  resumeBody(): void {
    this.#stream.resumeBody();
  }

  inform(status: number, headers: HeaderList): void {
    if (!this.#responded) this.#stream.head(statusBlock(status) + fieldsBlock(headers), false);
  }

  respond(response: UpstreamResponse, requestId: string, bodyless: boolean, onDrain: () => void): void {
    const { status, fields, length } = response;
    let block = statusBlock(status) + fields.block + uniqueField(requestIdName, requestId);
    if (length !== undefined && status !== 204) block += uniqueField(contentLength, length);
    if (!fields.dated) block += uniqueField(date, dateNow());
    this.#responded = true;
    this.#answered = bodyless;
    this.#stream.head(block, bodyless);
    if (bodyless) {
      this.#stream.endBoth();
      return;
    }
    if (length !== undefined) this.#awaited = Number(length);
    this.#stream.onDrain = onDrain;
  }

  write(chunk: Uint8Array): boolean {
    if (this.#awaited === undefined) return this.#stream.write(chunk);
    this.#awaited -= chunk.length;
    if (this.#awaited < 0) throw new MalformedMessage('a body longer than announced');
    // The end of the stream is in the frame of its last bytes.
    this.#answered = this.#awaited === 0;
    return this.#stream.write(chunk, this.#answered);
  }

  finish(trailers: HeaderList): void {
    if (this.#awaited !== undefined && this.#awaited > 0) {
      throw new MalformedMessage('a body shorter than announced');
    }
    this.#answered = true;
    this.#stream.end(trailers);
    // An answer may be complete before the request is: the rest of the request is not wanted.
    this.#stream.endBoth();
  }

  refuse(refusal: Refusal): void {
    const { status, body } = refusal;
    this.#origin.onRefuse(refusal);
    const block =
      statusBlock(status) +
      fieldsBlock(refusalHeaders(refusal, this.requestId)) +
      uniqueField(date, dateNow());
    const bodyless = this.method === 'HEAD' || body === '';
    this.#responded = true;
    this.#answered = true;
    this.#stream.head(block, bodyless);
    if (!bodyless) this.#stream.write(Buffer.from(body), true);
    this.#stream.endBoth();
  }

  abort(): void {
    this.#stream.reset(errorCodes.internal);
  }

  #expire(): void {
    if (this.#responded) {
      this.abort();
      return;
    }
    this.left.happen();
    this.refuse(refusals.overdue);
  }

  #settle(): void {
    if (!this.#answered) this.left.happen();
    this.#onOver?.();
    this.#onOver = undefined;
  }
}

function framingOf(stream: ServerStream, { length, announcesTrailers }: RequestHead): BodyFraming {
  if (length === undefined) return stream.receives ? 'streamed' : 'none';
  return announcesTrailers && stream.receives ? 'streamed' : { length };
}
