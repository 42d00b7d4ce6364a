import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import type { DatagramChannel, DatagramListener } from '../model/datagrams.ts';

/** What the senders to one port may hold at the same time. */
export interface RelayLimits {
  /** Senders (address and port) remembered; a new one takes the place of the one silent for longest. */
  readonly senders: number;
  /** Silence in both directions after which a sender is forgotten. */
  readonly idleMs: number;
  /** Bytes that wait, for all senders together, until the way for them is open; more are dropped. */
  readonly waitingBytes: number;
  /** Bytes of answers that wait in the socket; more are dropped. */
  readonly answerBytes: number;
  /** How long what a sender sends is dropped after the way for it could not be opened. */
  readonly pauseMs: number;
}

export const relayLimits: RelayLimits = {
  senders: 256,
  idleMs: 60_000,
  waitingBytes: 4 * 1024 * 1024,
  answerBytes: 4 * 1024 * 1024,
  pauseMs: 1000,
};

export interface RelayOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly limits: RelayLimits;
  /** Whether this sender may use the port; asked once for each. */
  allows(address: string): boolean;
  /** Opens the way for one sender. It may take a while; what the sender sends meanwhile waits. */
  open(onAnswer: DatagramListener, signal: AbortSignal): Promise<DatagramChannel>;
  /** Told why a way could not be opened. */
  onFailure?(error: unknown): void;
}

export interface DatagramRelay {
  readonly port: number;
  /** Frees the port and forgets all senders. */
  close(): Promise<void>;
}

/** A queued datagram costs this much besides its bytes. */
const entryBytes = 128;

/**
 * Carries datagrams from a UDP port of this machine, each sender over a way of its own, so that answers find back.
 * @throws the port cannot be opened
 */
export async function relayDatagrams(options: RelayOptions): Promise<DatagramRelay> {
  const { limits, host } = options;
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const bound = once(socket, 'listening');
  socket.bind({ port: options.port, address: host, exclusive: true });
  try {
    await bound;
  } catch (error) {
    socket.close();
    throw error;
  }
  /** From the one silent for longest to the latest. */
  const senders = new Map<string, Sender>();
  const waiting = { bytes: 0 };
  let sweep: NodeJS.Timeout | undefined;

  function forget(sender: Sender): void {
    if (senders.get(sender.name) === sender) senders.delete(sender.name);
    sender.end();
  }

  function use(sender: Sender): void {
    sender.lastUse = performance.now();
    senders.delete(sender.name);
    senders.set(sender.name, sender);
  }

  function forgetSilent(): void {
    sweep = undefined;
    const now = performance.now();
    for (const sender of senders.values()) {
      if (sender.lastUse + limits.idleMs > now) break;
      forget(sender);
    }
    watchSilence();
  }

  function watchSilence(): void {
    const [oldest] = senders.values();
    if (sweep !== undefined || oldest === undefined) return;
    sweep = setTimeout(forgetSilent, oldest.lastUse + limits.idleMs - performance.now()).unref();
  }

  function welcome(name: string, from: RemoteInfo): Sender | undefined {
    if (!options.allows(from.address)) return undefined;
    const [oldest] = senders.values();
    if (oldest !== undefined && senders.size >= limits.senders) forget(oldest);
    const sender = new Sender(name, waiting, limits);
    use(sender);
    const onAnswer = (datagram: Buffer): void => {
      if (senders.get(name) !== sender) return;
      use(sender);
      if (socket.getSendQueueSize() < limits.answerBytes) socket.send(datagram, from.port, from.address);
    };
    sender
      .begin((signal) => options.open(onAnswer, signal))
      .then(
        () => forget(sender),
        (error: unknown) => {
          // Gone, not failed, when nobody waits for it any more.
          if (senders.get(name) !== sender) return;
          options.onFailure?.(error);
          setTimeout(() => forget(sender), limits.pauseMs).unref();
        },
      );
    return sender;
  }

  // An answer that cannot be sent is lost like any datagram.
  socket.on('error', () => undefined);
  socket.on('message', (datagram, from) => {
    const name = `${from.address}|${from.port}`;
    const sender = senders.get(name) ?? welcome(name, from);
    if (sender === undefined) return;
    use(sender);
    sender.send(datagram);
    watchSilence();
  });
  return {
    port: socket.address().port,
    async close() {
      clearTimeout(sweep);
      const closed = once(socket, 'close');
      socket.close();
      for (const sender of [...senders.values()]) forget(sender);
      await closed;
    },
  };
}

/** One address and port that sends. */
class Sender {
  readonly name: string;
  lastUse = 0;
  readonly #waiting: { bytes: number };
  readonly #limits: RelayLimits;
  readonly #left = new AbortController();
  #channel: DatagramChannel | undefined;
  /** What waits for the channel; nothing is kept once that cannot be had. */
  #queue: Buffer[] | undefined = [];

  constructor(name: string, waiting: { bytes: number }, limits: RelayLimits) {
    this.name = name;
    this.#waiting = waiting;
    this.#limits = limits;
  }

  /** Resolves when the way has closed. @throws it could not be opened */
  async begin(open: (signal: AbortSignal) => Promise<DatagramChannel>): Promise<void> {
    try {
      const channel = await open(this.#left.signal);
      this.#channel = channel;
      for (const datagram of this.#drop()) channel.send(datagram);
      if (this.#left.signal.aborted) channel.close();
      await channel.closed;
    } finally {
      this.#drop();
    }
  }

  send(datagram: Buffer): void {
    const cost = datagram.length + entryBytes;
    this.#channel?.send(datagram);
    if (this.#queue === undefined || this.#waiting.bytes + cost > this.#limits.waitingBytes) return;
    this.#queue.push(datagram);
    this.#waiting.bytes += cost;
  }

  end(): void {
    this.#left.abort();
    this.#drop();
    this.#channel?.close();
  }

  /** Takes everything out of the queue, for good. */
  #drop(): readonly Buffer[] {
    const queue = this.#queue ?? [];
    this.#queue = undefined;
    for (const datagram of queue) this.#waiting.bytes -= datagram.length + entryBytes;
    return queue;
  }
}
