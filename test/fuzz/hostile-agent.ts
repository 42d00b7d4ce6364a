import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  encodeFrame,
  frame,
  guestMagic,
  headerBytes,
  helloBytes,
  magicBytes,
  u32,
} from '../../src/guest/wire.ts';
import { protocolVersion } from '../../src/model/agent-protocol.ts';
import type { Dealings, HostReport } from './guest-host.ts';

const host = fileURLToPath(new URL('guest-host.ts', import.meta.url));

/** What a guest says, without end or with one. */
export type Speech = Iterable<Buffer>;

/** An agent that keeps to the protocol until its host has what it asks for, and then says what it likes. */
export class HostileAgent {
  readonly #directory: string;
  readonly #server: Server;
  readonly #child: ChildProcess;
  /** Rejects when the host's process ends. */
  readonly #dying: Promise<never>;

  private constructor(directory: string, server: Server, child: ChildProcess) {
    this.#directory = directory;
    this.#server = server;
    this.#child = child;
    this.#dying = once(child, 'exit').then(([code, signal]) => {
      throw new Error(`the host ended: ${String(code ?? signal)}`);
    });
    this.#dying.catch(() => undefined);
  }

  static async start(): Promise<HostileAgent> {
    const directory = await mkdtemp(path.join(tmpdir(), 'dormouse-hostile-'));
    const socket = path.join(directory, 'port');
    const server = createServer().listen(socket);
    await once(server, 'listening');
    const child = fork(host, ['--socket', socket], { execArgv: ['--expose-gc'] });
    return new HostileAgent(directory, server, child);
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
    this.#server.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /**
   * One session.
   * @param reads whether it takes what its host answers
   * @throws the host's process ended
   */
  async meet(dealings: Dealings, speech: Speech, reads = true): Promise<HostReport> {
    const coming = once(this.#server, 'connection') as Promise<[Socket]>;
    const { promise: reporting, resolve } = Promise.withResolvers<HostReport>();
    this.#child.once('message', (report) => resolve(report as HostReport));
    const dying = this.#dying;
    this.#child.send(dealings);
    const [channel] = await Promise.race([coming, dying]);
    channel.on('error', () => undefined);
    const report = Promise.race([reporting, dying]).finally(() => channel.destroy());
    report.catch(() => undefined);
    const { connections = 0, processes = 0, datagrams = 0 } = dealings;
    await welcome(channel, connections + processes + datagrams);
    if (reads) channel.resume();
    await say(channel, speech);
    channel.end();
    return await report;
  }
}

/** Answers the greeting, and as many openings as will come. */
async function welcome(channel: Socket, openings: number): Promise<void> {
  let received: Buffer = Buffer.alloc(0);
  const more = async (): Promise<void> => {
    const [chunk] = (await once(channel, 'data')) as [Buffer];
    received = Buffer.concat([received, chunk]);
  };
  while (received.length < helloBytes) await more();
  const nonce = received.subarray(magicBytes + 4, helloBytes);
  received = received.subarray(helloBytes);
  channel.write(Buffer.concat([guestMagic, u32(protocolVersion), nonce]));
  channel.write(encodeFrame(0, frame.info, Buffer.alloc(9)));
  for (let opened = 0; opened < openings; ) {
    while (received.length < headerBytes || received.length < headerBytes + received.readUInt16LE(4))
      await more();
    if (received[6] === frame.open) {
      channel.write(encodeFrame(received.readUInt32LE(0), frame.opened, u32(1024)));
      opened += 1;
    }
    received = received.subarray(headerBytes + received.readUInt16LE(4));
  }
  channel.pause();
}

async function say(channel: Socket, speech: Speech): Promise<void> {
  const closed = once(channel, 'close').then(
    () => true,
    () => true,
  );
  for (const words of speech) {
    if (channel.destroyed) return;
    if (channel.write(words)) continue;
    const drained = once(channel, 'drain').then(
      () => false,
      () => true,
    );
    if (await Promise.race([drained, closed])) return;
  }
}
