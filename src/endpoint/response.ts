import type { Exchange } from './exchange.ts';
import { forwardable, forwardableTrailers, type HeaderList } from './headers.ts';
import type { EndpointLimits } from './options.ts';
import { answerFailure, badGateway, RefusedError } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents, UpstreamResponse } from './upstream.ts';

/** Carries what the application says back to the client. */
export class Response implements UpstreamEvents {
  readonly #exchange: Exchange;
  readonly #requestId: string;
  readonly #limits: Pick<EndpointLimits, 'informationalResponses' | 'explain502'>;
  #call: UpstreamCall | undefined;
  #informed = 0;
  #bodyless = false;

  constructor(
    exchange: Exchange,
    requestId: string,
    limits: Pick<EndpointLimits, 'informationalResponses' | 'explain502'>,
  ) {
    this.#exchange = exchange;
    this.#requestId = requestId;
    this.#limits = limits;
  }

  /** Names the call that the events come from; it ends when the client leaves. */
  attach(call: UpstreamCall): void {
    this.#call = call;
    const { left } = this.#exchange;
    if (left.happened) call.abort();
    else left.onLeave = () => call.abort();
  }

  inform(status: number, headers: HeaderList): void {
    const exchange = this.#exchange;
    this.#informed += 1;
    if (this.#informed > this.#limits.informationalResponses) {
      this.fail(new Error('too many 1xx responses'));
    } else if (status !== 100 || exchange.fields.expectsContinue) {
      this.#attempt(() => exchange.inform(status, forwardable(headers)));
    }
  }

  respond(response: UpstreamResponse): void {
    const { status } = response;
    const exchange = this.#exchange;
    if (status < 200 || status > 599) {
      this.fail(new Error('impossible status'));
      return;
    }
    this.#bodyless = isBodyless(exchange.method, response);
    this.#attempt(() =>
      exchange.respond(response, this.#requestId, this.#bodyless, () => this.#call?.resume()),
    );
  }

  write(chunk: Uint8Array): boolean {
    try {
      return this.#bodyless || this.#exchange.write(chunk);
    } catch (error) {
      this.fail(error);
      return true;
    }
  }

  finish(trailers: HeaderList): void {
    if (!this.#bodyless) this.#attempt(() => this.#exchange.finish(forwardableTrailers(trailers)));
  }

  drain(): void {
    this.#exchange.resumeBody();
  }

  fail(error: unknown): void {
    this.#call?.abort();
    const exchange = this.#exchange;
    const refused = error instanceof RefusedError || exchange.responded();
    const shown = refused ? error : new RefusedError(badGateway('BAD_GATEWAY'), { cause: error });
    answerFailure(exchange, shown, { limits: this.#limits, onError: ignore });
  }

  /** What one version of HTTP says, another may have no words for. */
  #attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.fail(error);
    }
  }
}

function isBodyless(method: string, response: UpstreamResponse): boolean {
  return (
    response.bodyless ||
    method === 'HEAD' ||
    response.status === 204 ||
    response.status === 304 ||
    response.length === '0'
  );
}

const ignore = (): void => undefined;
