import { forwardable, type HeaderList, membersOf, valuesOf } from './headers.ts';
import { fieldText } from './http1/grammar.ts';
import { fieldsBlock } from './http2/hpack/encoder.ts';

/**
 * The headers of a message with what the proxy makes of them, each found once. A connection mostly carries the
 * same headers again and again; these are then reused.
 */
export class Fields {
  readonly list: HeaderList;
  #forwardable: HeaderList | undefined;
  #text: string | undefined;
  #block: string | undefined;
  #dated: boolean | undefined;

  constructor(list: HeaderList) {
    this.list = list;
  }

  /** What goes on to the other side; framing is left to the caller. */
  get forwardable(): HeaderList {
    this.#forwardable ??= forwardable(this.list);
    return this.#forwardable;
  }

  /**
   * {@link forwardable} as HTTP/1.1 writes it.
   * @throws {MalformedMessage}
   */
  get text(): string {
    this.#text ??= fieldText(this.forwardable);
    return this.#text;
  }

  /**
   * {@link forwardable} as HTTP/2 writes it.
   * @throws {MalformedMessage}
   */
  get block(): string {
    this.#block ??= fieldsBlock(this.forwardable);
    return this.#block;
  }

  /** Whether there is a `Date`. */
  get dated(): boolean {
    this.#dated ??= valuesOf(this.list, 'date').length > 0;
    return this.#dated;
  }
}

/** The headers of a request. */
export class RequestFields extends Fields {
  /** Host name, possibly with a port, the request is for; undefined when there are several or none. */
  readonly authority: string | undefined;
  readonly expectsContinue: boolean;
  /** The client takes trailers (`te: trailers`). */
  readonly takesTrailers: boolean;
  /** HTTP/2 to the application when the client asks for it, and for gRPC, which knows nothing else. */
  readonly wantsH2: boolean;
  readonly token: string | undefined;
  /** Ports named; more than one is an error. */
  readonly ports: readonly string[];

  /** @param authority of HTTP/2, where it is no header */
  constructor(list: HeaderList, authority = singleValue(list, 'host')) {
    super(list);
    this.authority = authority;
    this.expectsContinue = includes(membersOf(list, 'expect'), '100-continue');
    this.takesTrailers = includes(membersOf(list, 'te'), 'trailers');
    this.wantsH2 =
      singleValue(list, 'x-aws-proxy-force-h2')?.trim().toLowerCase() === 'true' ||
      /^application\/grpc(?:$|[+; ])/i.test(singleValue(list, 'content-type') ?? '');
    this.token = singleValue(list, 'x-aws-proxy-auth');
    this.ports = valuesOf(list, 'x-aws-proxy-port');
  }
}

/** The one value of a header that may be sent once. */
export function singleValue(headers: HeaderList, name: string): string | undefined {
  const values = valuesOf(headers, name);
  return values.length === 1 ? values[0] : undefined;
}

function includes(members: readonly string[], wanted: string): boolean {
  return members.some((member) => member.toLowerCase() === wanted);
}
