import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFile } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { GuestNetworkError } from '../network-error.ts';

const headerBytes = 12;
const idCount = 65_536;
const longestMessage = 65_535;
const udpTimeoutMs = 2_000;
const tcpTimeoutMs = 4_000;
/** Answer came too long for its datagram: ask again over TCP. */
const truncatedFlag = 0x02;
const resolverPort = 53;

/** Passes DNS messages of guests on to the resolvers of this host. */
export interface NameService {
  /**
   * @param query one DNS message as a guest sent it
   * @returns the answer, id unchanged
   * @throws {GuestNetworkError} the message is none, or no resolver answered
   */
  ask(query: Buffer): Promise<Buffer>;
}

/** @param resolvers addresses, tried in order; those of `/etc/resolv.conf` when absent */
export function createNameService(resolvers?: readonly { address: string; port: number }[]): NameService {
  return {
    async ask(query) {
      if (query.length < headerBytes || query.length > longestMessage) {
        throw new GuestNetworkError('EINVAL', 'not a DNS message');
      }
      // An id of our own: a guest that chooses it would make answers easier to forge.
      const asked = withId(query, randomInt(idCount));
      for (const resolver of resolvers ?? (await hostResolvers())) {
        const answer = await askOne(resolver, asked).catch(() => undefined);
        if (answer !== undefined) return withId(answer, query.readUInt16BE(0));
      }
      throw new GuestNetworkError('ETIMEDOUT', 'no name server answered');
    },
  };
}

function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** Addresses of the host's resolvers; read each time because networks come and go. */
export function parseResolvConf(text: string): readonly { address: string; port: number }[] {
  return text
    .split('\n')
    .map((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? '')
    .filter((address) => isIP(address) !== 0)
    .map((address) => ({ address, port: resolverPort }));
}

async function hostResolvers(): Promise<readonly { address: string; port: number }[]> {
  const text = await readFile('/etc/resolv.conf', 'utf8').catch(() => '');
  return parseResolvConf(text);
}

async function askOne(resolver: { address: string; port: number }, query: Buffer): Promise<Buffer> {
  const answer = await askByDatagram(resolver, query);
  const truncated = ((answer[2] ?? 0) & truncatedFlag) !== 0;
  return truncated ? await askByStream(resolver, query) : answer;
}

function askByDatagram(resolver: { address: string; port: number }, query: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = createSocket(isIP(resolver.address) === 6 ? 'udp6' : 'udp4');
  const timer = setTimeout(
    () => reject(new GuestNetworkError('ETIMEDOUT', 'the name server is silent')),
    udpTimeoutMs,
  );
  socket.on('error', reject);
  socket.on('message', (answer) => {
    // Only an answer to this very question counts; connected sockets already tell who sent it.
    if (answer.length >= headerBytes && answer.readUInt16BE(0) === query.readUInt16BE(0)) resolve(answer);
  });
  socket.connect(resolver.port, resolver.address, (...failure: unknown[]) => {
    if (failure[0] instanceof Error) reject(failure[0]);
    else socket.send(query);
  });
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

function askByStream(resolver: { address: string; port: number }, query: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = connect({ host: resolver.address, port: resolver.port, timeout: tcpTimeoutMs });
  let received: Buffer = Buffer.alloc(0);
  socket.on('connect', () => {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
  socket.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2) return;
    const length = received.readUInt16BE(0);
    if (received.length >= 2 + length) resolve(received.subarray(2, 2 + length));
  });
  const lost = (): void => reject(new GuestNetworkError('ETIMEDOUT', 'the name server is silent'));
  socket.on('timeout', lost);
  socket.on('close', lost);
  socket.on('error', reject);
  return promise.finally(() => socket.destroy());
}
