import { constants } from 'node:os';
import type { EgressConnection, EgressHandler } from '../model/guest-egress.ts';
import { GuestProtocolError } from './guest-agent.ts';
import { GuestStream } from './guest-stream.ts';
import type { StreamChannel } from './stream-channel.ts';
import type { Windows } from './windows.ts';
import { frame, longestQuery, maximumPayload, streamKind, u32 } from './wire.ts';

/** What one guest may have under way at once. */
const connectionLimit = 512;
const queryLimit = 256;

/** Streams that the guest opens: its connections and name look-ups to the outside. */
export class GuestOpenings {
  readonly #channel: StreamChannel;
  /** Not answered yet. */
  readonly #offered = new Map<number, AbortController>();
  readonly #streams = new Map<number, GuestStream>();
  #queries = 0;
  #handler: EgressHandler | undefined;
  /** What a guest that has just woken opens may come before there is a handler. */
  readonly #unserved = new Map<number, (handler: EgressHandler) => void>();
  readonly #windows: Windows;
  #over = false;

  constructor(channel: StreamChannel, windows: Windows) {
    this.#channel = channel;
    this.#windows = windows;
  }

  serve(handler: EgressHandler): void {
    this.#handler = handler;
    for (const begin of this.#unserved.values()) begin(handler);
    this.#unserved.clear();
  }

  /** @throws {GuestProtocolError} or {@link StreamViolation} */
  receive(id: number, type: number, payload: Buffer): void {
    if (type === frame.open) this.#open(id, payload);
    else if (this.#offered.has(id)) this.#giveUp(id, type);
    // A stream the host has ended may still be spoken of.
    else this.#streams.get(id)?.receive(type, payload);
  }

  /** The session is over. */
  end(error: Error): void {
    this.#over = true;
    for (const controller of this.#offered.values()) controller.abort(error);
    for (const stream of [...this.#streams.values()]) stream.sever(error);
    this.#offered.clear();
    this.#unserved.clear();
    this.#streams.clear();
  }

  #open(id: number, payload: Buffer): void {
    if (payload.length < 5) throw new GuestProtocolError('a short opening');
    if (this.#offered.has(id) || this.#streams.has(id) || this.#unserved.has(id)) {
      throw new GuestProtocolError('a stream was opened twice');
    }
    const body = payload.subarray(5);
    switch (payload[0]) {
      case streamKind.egressTcp:
        this.#openConnection(id, payload.subarray(1, 5), body);
        return;
      case streamKind.dns:
        this.#openQuery(id, body);
        return;
      default:
        throw new GuestProtocolError('an opening of unknown kind');
    }
  }

  #openConnection(id: number, window: Buffer, body: Buffer): void {
    if (body.length !== 7 || body[0] !== 4) throw new GuestProtocolError('a malformed destination');
    // The guest may have forgotten connections that still have to deliver here.
    if (this.#offered.size + this.#streams.size >= connectionLimit) {
      this.#fail(id, 'EMFILE');
      return;
    }
    const granted = Buffer.from(window);
    const controller = new AbortController();
    this.#offered.set(id, controller);
    const connection: EgressConnection = {
      address: body.subarray(1, 5).join('.'),
      port: body.readUInt16LE(5),
      signal: controller.signal,
      accept: () => this.#accept(id, controller, granted),
      refuse: (errno) => {
        if (this.#offered.get(id) !== controller) return;
        this.#offered.delete(id);
        this.#fail(id, errno);
      },
    };
    this.#begin(id, (handler) => handler.onConnection(connection));
  }

  #accept(id: number, controller: AbortController, window: Buffer): GuestStream {
    const channel = this.#channel;
    const stream = new GuestStream({
      id,
      channel: {
        get hasRoom() {
          return channel.hasRoom;
        },
        send: (to, type, payload) => channel.send(to, type, payload),
        drained: (callback) => channel.drained(callback),
        forget: (gone) => this.#streams.delete(gone),
      },
      onTraffic: undefined,
      window: this.#windows.open(),
    });
    stream.on('error', () => undefined);
    if (this.#offered.get(id) !== controller) {
      stream.sever(new GuestProtocolError('the guest gave up'));
      return stream;
    }
    this.#offered.delete(id);
    this.#streams.set(id, stream);
    this.#channel.send(id, frame.opened, u32(stream.window));
    stream.opened(window);
    return stream;
  }

  #giveUp(id: number, type: number): void {
    if (type !== frame.reset) throw new GuestProtocolError('a stream began in the middle');
    const controller = this.#offered.get(id);
    this.#offered.delete(id);
    this.#unserved.delete(id);
    controller?.abort(new GuestProtocolError('the guest gave up'));
  }

  #openQuery(id: number, body: Buffer): void {
    if (body.length > longestQuery) throw new GuestProtocolError('a query is too long');
    if (this.#queries >= queryLimit) {
      this.#fail(id, 'EAGAIN');
      return;
    }
    this.#queries += 1;
    const refuse = (): void => this.#fail(id, 'ETIMEDOUT');
    const query = Buffer.from(body);
    this.#begin(id, (handler) => {
      handler
        .onQuery(query)
        .then((answer) => {
          if (answer === undefined || answer.length > maximumPayload) refuse();
          else if (!this.#over) this.#channel.send(id, frame.data, answer);
        }, refuse)
        .finally(() => {
          this.#queries -= 1;
        });
    });
  }

  #begin(id: number, work: (handler: EgressHandler) => void): void {
    if (this.#handler === undefined) this.#unserved.set(id, work);
    else work(this.#handler);
  }

  #fail(id: number, errno: string): void {
    if (!this.#over) this.#channel.send(id, frame.failed, u32(errnoNumber(errno)));
  }
}

const errnos = new Map(Object.entries(constants.errno));

function errnoNumber(name: string): number {
  return errnos.get(name) ?? constants.errno.ECONNREFUSED;
}
