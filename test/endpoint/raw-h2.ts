/** HTTP/2 frame by frame, for what no client library would send. */
import { once } from 'node:events';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import type { Fixture } from './fixture.ts';

export const DATA = 0;
export const HEADERS = 1;
export const PRIORITY = 2;
export const RST_STREAM = 3;
export const SETTINGS = 4;
export const PUSH_PROMISE = 5;
export const PING = 6;
export const GOAWAY = 7;
export const WINDOW_UPDATE = 8;
export const CONTINUATION = 9;

export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;
export const PADDED = 0x8;
export const HAS_PRIORITY = 0x20;

export const NO_ERROR = 0;
export const PROTOCOL_ERROR = 1;
export const FLOW_CONTROL_ERROR = 3;
export const STREAM_CLOSED = 5;
export const FRAME_SIZE_ERROR = 6;
export const REFUSED_STREAM = 7;
export const COMPRESSION_ERROR = 9;
export const ENHANCE_YOUR_CALM = 11;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly id: number;
  readonly payload: Buffer;
}

export function frame(type: number, flags: number, id: number, payload: Uint8Array | string = ''): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'latin1') : payload;
  const head = Buffer.alloc(9);
  head.writeUIntBE(bytes.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, bytes]);
}

export function word(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value, index * 4);
  return bytes;
}

export function setting(id: number, value: number): Buffer {
  return Buffer.concat([Buffer.of(id >> 8, id & 0xff), word(value)]);
}

/** A header block of literals only. */
export function block(...fields: ReadonlyArray<readonly [name: string, value: string]>): Buffer {
  const string = (text: string): Buffer[] => {
    const bytes = Buffer.from(text, 'latin1');
    const rest = bytes.length - 127;
    if (rest < 0) return [Buffer.of(bytes.length), bytes];
    const length = [127];
    let left = rest;
    for (; left >= 128; left >>>= 7) length.push((left & 127) | 128);
    return [Buffer.from([...length, left]), bytes];
  };
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.of(0x00), ...string(name), ...string(value)]),
  );
}

type Field = readonly [name: string, value: string];

/** A request that is in order, with fields replaced or left out by name, and others behind them. */
export function request(
  fixture: Fixture,
  replaced: Readonly<Record<string, string | undefined>> = {},
  ...more: readonly Field[]
): Buffer {
  const fields: Record<string, string | undefined> = {
    ':method': 'GET',
    ':scheme': 'https',
    ':authority': fixture.host,
    ':path': '/',
    'x-aws-proxy-auth': fixture.token,
    ...replaced,
  };
  const kept = Object.entries(fields).flatMap(([name, value]): Field[] =>
    value === undefined ? [] : [[name, value]],
  );
  return block(...kept, ...more);
}

/** A connection on which the test says every byte. */
export class RawH2 {
  readonly frames: Frame[] = [];
  readonly socket: tls.TLSSocket;
  ended = false;
  #rest: Buffer = Buffer.alloc(0);
  #onChange: () => void = () => undefined;

  constructor(socket: tls.TLSSocket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', () => undefined);
    for (const event of ['end', 'close']) {
      socket.once(event, () => {
        this.ended = true;
        this.#onChange();
      });
    }
  }

  send(...pieces: ReadonlyArray<Uint8Array>): void {
    this.socket.write(Buffer.concat(pieces));
  }

  /** The first frame, now or later, that fits; undefined when the connection ends without it. */
  async next(fits: (frame: Frame) => boolean): Promise<Frame | undefined> {
    for (;;) {
      const found = this.frames.find(fits);
      if (found !== undefined || this.ended) return found;
      await new Promise<void>((resolve) => {
        this.#onChange = resolve;
      });
    }
  }

  /** Resolves once everything sent so far has been dealt with. */
  async settle(): Promise<boolean> {
    const payload = Buffer.from(`ping${String(this.#pings).padStart(4, '0')}`);
    this.#pings += 1;
    this.send(frame(PING, 0, 0, payload));
    return (
      (await this.next(({ type, payload: answer }) => type === PING && answer.equals(payload))) !== undefined
    );
  }

  #pings = 0;

  /** Content of a stream's DATA so far. */
  content(id: number): Buffer {
    return Buffer.concat(
      this.frames.filter((got) => got.type === DATA && got.id === id).map(({ payload }) => payload),
    );
  }

  async untilEnded(): Promise<void> {
    while (!this.ended) await this.next(() => false);
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 9) {
      const length = this.#rest.readUIntBE(0, 3);
      if (this.#rest.length < 9 + length) break;
      this.frames.push({
        type: this.#rest[3] ?? 0,
        flags: this.#rest[4] ?? 0,
        id: this.#rest.readUInt32BE(5),
        payload: this.#rest.subarray(9, 9 + length),
      });
      this.#rest = this.#rest.subarray(9 + length);
    }
    this.#onChange();
  }
}

/** @param greeting what is said first; undefined for the preface and empty SETTINGS */
export async function rawH2(t: TestContext, fixture: Fixture, greeting?: Buffer): Promise<RawH2> {
  const socket = tls.connect({
    host: '127.0.0.1',
    port: fixture.port,
    servername: fixture.host,
    ca: fixture.ca,
    ALPNProtocols: ['h2'],
  });
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  const connection = new RawH2(socket);
  connection.send(
    greeting ?? Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0)]),
  );
  return connection;
}

export const codeOf = (got: Frame | undefined): number | undefined =>
  got?.payload.readUInt32BE(got.type === GOAWAY ? 4 : 0);
