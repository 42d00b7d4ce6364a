import type { HeaderList } from '../headers.ts';
import { OversizedMessage } from '../http1/grammar.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { checkTrailers, type RequestHead, readRequestHead } from './request-head.ts';

/** Heads remembered by their bytes, and how long these may be. */
const mostRemembered = 16;
const longestRemembered = 256;

/**
 * Reads the header blocks of a connection. Most requests of a client differ in little, and once its table holds
 * what it sends, those that are the same are the same bytes: these are not read again.
 */
export class RequestHeads {
  readonly #decoder: HpackDecoder;
  readonly #known = new Map<string, RequestHead>();
  #last: RequestHead | undefined;

  /** @param mostBytes of a header list */
  constructor(mostBytes: number) {
    this.#decoder = new HpackDecoder(mostBytes);
  }

  /**
   * @throws {MalformedMessage | OversizedMessage} that request is none
   * @throws {ConnectionError} the block is broken
   */
  request(block: Buffer): RequestHead {
    if (block.length > longestRemembered) return this.#read(block);
    const bytes = block.toString('latin1');
    const known = this.#known.get(bytes);
    if (known !== undefined) return known;
    const { generation } = this.#decoder;
    const head = this.#read(block);
    // A block that changes the table means something else the next time.
    if (this.#decoder.generation !== generation) return head;
    if (this.#known.size >= mostRemembered) this.#known.clear();
    this.#known.set(bytes, head);
    return head;
  }

  /**
   * @throws {MalformedMessage | OversizedMessage}
   * @throws {ConnectionError} the block is broken
   */
  trailers(block: Buffer): HeaderList {
    const list = this.skip(block);
    checkTrailers(list);
    return list;
  }

  /**
   * Reads a block for the sake of those behind it.
   * @throws {OversizedMessage}
   * @throws {ConnectionError} the block is broken
   */
  skip(block: Buffer): HeaderList {
    const { generation } = this.#decoder;
    const { list, oversized } = this.#decoder.decode(block);
    if (this.#decoder.generation !== generation) this.#known.clear();
    if (oversized) throw new OversizedMessage('a header list');
    return list;
  }

  #read(block: Buffer): RequestHead {
    this.#last = readRequestHead(this.skip(block), this.#last?.fields);
    return this.#last;
  }
}
