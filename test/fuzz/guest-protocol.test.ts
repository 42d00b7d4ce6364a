import assert from 'node:assert/strict';
import { createCipheriv } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { encodeFrame, frame, maximumPayload, streamKind, u32 } from '../../src/guest/wire.ts';
import type { Dealings } from './guest-host.ts';
import { HostileAgent, type Speech } from './hostile-agent.ts';

const megabyte = 1024 * 1024;
/** What a host may hold of a guest that has no use for large windows, whatever that does. */
const mostAlive = 16 * megabyte;
/** The same with what waits to be collected. */
const mostResident = 128 * megabyte;

/** The same frames again and again. */
function* flood(floodBytes: number, ...frames: readonly Buffer[]): Speech {
  const once = Buffer.concat(frames);
  const words = Buffer.concat(Array.from({ length: Math.ceil(65_536 / once.length) }, () => once));
  for (let sent = 0; sent < floodBytes; sent += words.length) yield words;
}

/** Frames that differ by their stream: even ones, which are the guest's. */
function* floodOf(floodBytes: number, make: (id: number) => Buffer): Speech {
  let id = 0;
  for (let sent = 0; sent < floodBytes; ) {
    const first = id;
    const words = Buffer.concat(Array.from({ length: 2000 }, (_, index) => make(first + 2 * (index + 1))));
    id += 4000;
    sent += words.length;
    yield words;
  }
}

function odd(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index * 2 + 1);
}

function connectionTo(id: number, port = 80): Buffer {
  const destination = Buffer.of(4, 192, 0, 2, 1, port & 0xff, port >> 8);
  return encodeFrame(
    id,
    frame.open,
    Buffer.concat([Buffer.of(streamKind.egressTcp), u32(1 << 18), destination]),
  );
}

function lookUp(id: number): Buffer {
  return encodeFrame(id, frame.open, Buffer.concat([Buffer.of(streamKind.dns), u32(0), Buffer.alloc(500)]));
}

/** All that a window allows, a byte at a time, on each stream. */
function* singleBytes(ids: readonly number[], type: number): Speech {
  const words = Buffer.concat(ids.map((id) => encodeFrame(id, type, Buffer.of(120))));
  for (let sent = 0; sent < 8 * megabyte; sent += words.length) yield words;
}

interface Attack {
  readonly name: string;
  readonly dealings: Dealings;
  readonly speech: () => Speech;
  /** Whether it takes what its host answers. */
  readonly reads?: boolean;
  /** The host breaks it off; otherwise it lasts as long as the guest likes. */
  readonly broken?: boolean;
}

const one: Dealings = { connections: 1 };
const processes: Dealings = { processes: 1 };

const attacks: readonly Attack[] = [
  {
    name: 'sends DATA without a body',
    dealings: one,
    speech: () => flood(48 * megabyte, encodeFrame(1, frame.data)),
    broken: true,
  },
  {
    name: 'sends standard error without a body',
    dealings: processes,
    speech: () => flood(48 * megabyte, encodeFrame(1, frame.dataError)),
    broken: true,
  },
  {
    name: 'ends a stream again and again',
    dealings: one,
    speech: () => flood(48 * megabyte, encodeFrame(1, frame.eof)),
    broken: true,
  },
  {
    name: 'ends a process again and again',
    dealings: processes,
    speech: () => flood(48 * megabyte, encodeFrame(1, frame.exit, Buffer.alloc(8))),
    broken: true,
  },
  {
    name: 'introduces itself again and again',
    dealings: {},
    speech: () => flood(48 * megabyte, encodeFrame(0, frame.info, Buffer.alloc(73))),
    broken: true,
  },
  {
    name: 'fills 400 windows by single bytes',
    dealings: { connections: 400 },
    speech: () => singleBytes(odd(400), frame.data),
  },
  {
    name: 'fills 40 windows of standard error by single bytes',
    dealings: { processes: 40 },
    speech: () => singleBytes(odd(40), frame.dataError),
  },
  {
    name: 'sends empty datagrams',
    dealings: { datagrams: 1 },
    speech: () => flood(4 * megabyte, encodeFrame(1, frame.data)),
  },
  {
    name: 'grants nothing, often',
    dealings: one,
    speech: () => flood(4 * megabyte, encodeFrame(1, frame.windowMore, u32(0))),
  },
  {
    name: 'speaks of streams that never were',
    dealings: {},
    speech: () => flood(4 * megabyte, encodeFrame(9, frame.data, Buffer.alloc(3))),
  },
  {
    name: 'answers what nobody asked',
    dealings: {},
    speech: () =>
      flood(4 * megabyte, encodeFrame(0, frame.reply, Buffer.concat([u32(77, 0), Buffer.alloc(40)]))),
  },
  {
    name: 'opens and gives up before anybody serves it',
    dealings: {},
    speech: () =>
      floodOf(megabyte / 2, (id) => Buffer.concat([connectionTo(id), encodeFrame(id, frame.reset)])),
  },
  {
    name: 'opens and gives up',
    dealings: { egress: 'waiting' },
    speech: () =>
      floodOf(megabyte / 2, (id) => Buffer.concat([connectionTo(id), encodeFrame(id, frame.reset)])),
  },
  {
    name: 'opens without end and does not read the refusals',
    dealings: { egress: 'refused' },
    speech: () => floodOf(8 * megabyte, connectionTo),
    reads: false,
  },
  {
    name: 'opens more than it may and does not read the answers',
    dealings: { egress: 'accepted' },
    speech: () => floodOf(8 * megabyte, connectionTo),
    reads: false,
  },
  {
    name: 'opens more than it may before anybody serves it',
    dealings: {},
    speech: () => floodOf(8 * megabyte, connectionTo),
    reads: false,
  },
  {
    name: 'looks names up without end and does not read the answers',
    dealings: { egress: 'refused' },
    speech: () => floodOf(48 * megabyte, lookUp),
    reads: false,
  },
  {
    name: 'prints single bytes where nobody listens',
    dealings: {},
    speech: () => flood(4 * megabyte, encodeFrame(0, frame.log, Buffer.of(0, 120))),
  },
  {
    name: 'prints empty lines to a store that does not take them',
    dealings: { logs: true },
    speech: () => flood(48 * megabyte, encodeFrame(0, frame.log, Buffer.alloc(maximumPayload, '\n'))),
  },
  {
    name: 'prints single bytes to a store that does not take them, on both outputs in turn',
    dealings: { logs: true },
    speech: () =>
      flood(
        4 * megabyte,
        encodeFrame(0, frame.log, Buffer.of(0, 120)),
        encodeFrame(0, frame.log, Buffer.of(1, 120)),
      ),
  },
];

describe('a host whose guest breaks the protocol or makes the most of it', { timeout: 600_000 }, () => {
  let agent: HostileAgent;

  before(async () => {
    agent = await HostileAgent.start();
  });
  after(() => agent.stop());

  for (const { name, dealings, speech, reads, broken } of attacks) {
    it(`holds little when it ${name}`, async (t) => {
      const report = await agent.meet(dealings, speech(), reads);
      t.diagnostic(JSON.stringify(report));
      assert.ok(report.liveBytes < mostAlive, `${report.liveBytes} bytes were alive`);
      assert.ok(report.residentBytes < mostResident, `${report.residentBytes} bytes were resident`);
      if (broken === true) assert.ok(report.received < megabyte, `took ${report.received} bytes of it`);
    });
  }
});

/** The same bytes for the same seed. */
function noiseOf(seed: number): (count: number) => Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  return (count) => cipher.update(Buffer.alloc(count));
}

/** Frames that mostly belong where they are sent, so that a session lasts until one does not. */
function* wild(seed: number, { egress }: Dealings): Speech {
  const noise = noiseOf(seed);
  const types = Object.values(frame);
  let opened = 0;
  const one = (): Buffer => {
    const [choice = 0, where = 0, size = 0, rare = 0] = noise(4);
    const host = (where % 6) * 2 + 1;
    const recent = Math.max(2, opened - 2 * (where % 8));
    if (rare === 0 && choice < 8) {
      return encodeFrame(where % 12, types[size % types.length] ?? size, noise(size % 12));
    }
    if (choice < 120) return encodeFrame(host, frame.data, noise(1 + (rare < 2 ? size * 50 : size % 16)));
    if (choice < 140) return encodeFrame(host, frame.windowMore, u32(size));
    if (choice < 160) return encodeFrame(recent, frame.reset);
    if (choice < 190) return encodeFrame(0, frame.log, noise(1 + size));
    if (choice < 210 && egress === 'accepted') return encodeFrame(recent, frame.windowMore, u32(size));
    opened += 2;
    return choice % 2 === 0 ? connectionTo(opened) : lookUp(opened);
  };
  for (let sent = 0; sent < 2 * megabyte; ) {
    const words = Buffer.concat(Array.from({ length: 200 }, one));
    sent += words.length;
    yield words;
  }
}

it('a host holds little of guests that say anything', { timeout: 300_000 }, async (t) => {
  let received = 0;
  const agent = await HostileAgent.start();
  const seed = Number(process.env.FUZZ_SEED ?? 1);
  try {
    for (let round = 0; round < 30; round += 1) {
      const dealings: Dealings = {
        connections: round % 4,
        processes: round % 3,
        datagrams: round % 2,
        egress: (['accepted', 'waiting', 'refused', undefined] as const)[round % 4],
        logs: round % 5 < 3,
      };
      const report = await agent.meet(dealings, wild(seed + round, dealings), round % 3 > 0);
      received += report.received;
      assert.ok(report.liveBytes < mostAlive, `seed ${seed + round}: ${JSON.stringify(report)}`);
    }
    t.diagnostic(`${received} bytes`);
  } finally {
    await agent.stop();
  }
});
