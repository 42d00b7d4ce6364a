/**
 * A host of one guest after the other, in a process of its own so that what it takes of memory is its own. It connects
 * to the socket that it is given, does with the guest what it is told to, and reports what that came to.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { parseArgs } from 'node:util';
import type { GuestAgent } from '../../src/guest/guest-agent.ts';
import { openGuestAgent } from '../../src/guest/session.ts';
import { systemClock } from '../../src/model/clock.ts';
import { LogPump } from '../../src/telemetry/log-pump.ts';

/** What the host has with its guest while that does what it likes. None of it is ever read. */
export interface Dealings {
  readonly connections?: number;
  readonly processes?: number;
  readonly datagrams?: number;
  /** What becomes of the guest's own connections and look-ups; nobody is there for them when absent. */
  readonly egress?: 'accepted' | 'waiting' | 'refused' | undefined;
  /** The application's output goes to a store that never takes it. */
  readonly logs?: boolean;
}

export interface HostReport {
  /** How the dealings ended: the session broke off, or the host stopped reading. */
  readonly end: 'closed' | 'not reading';
  readonly received: number;
  /** Most that was alive at once, above what was before the guest came, in bytes. */
  readonly liveBytes: number;
  /** The same of the process as the kernel sees it, so with what waits to be collected. */
  readonly residentBytes: number;
}

const sampleMs = 20;
/** So many looks at a session whose answers are not taken, and that reads nothing, mean that it waits for that. */
const idleLooks = 25;

function liveBytes(): number {
  globalThis.gc?.();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function deal(agent: GuestAgent, dealings: Dealings): Promise<void> {
  const { egress } = dealings;
  if (egress !== undefined) {
    agent.onEgress({
      onConnection(connection) {
        if (egress === 'accepted') connection.accept();
        else if (egress === 'refused') connection.refuse('EACCES');
      },
      onQuery: async () => (egress === 'waiting' ? await new Promise<Buffer>(() => undefined) : undefined),
    });
  }
  if (dealings.logs === true) {
    const pump = new LogPump({
      logs: { append: () => new Promise(() => undefined) },
      destination: { group: 'g', stream: 's' },
      clock: systemClock,
      onError: () => undefined,
    });
    agent.onLog(
      (source, chunk) => pump.write(source, chunk),
      (bytes) => pump.lose(bytes),
    );
  }
  const many = <Value>(count = 0, make: () => Promise<Value>): Promise<Value>[] =>
    Array.from({ length: count }, make);
  await Promise.all([
    ...many(dealings.connections, () => agent.connect(1)),
    ...many(dealings.processes, () => agent.exec({ argv: ['x'] })),
    ...many(dealings.datagrams, () => agent.associate(1, () => undefined)),
  ]);
}

async function host(path: string, dealings: Dealings): Promise<HostReport> {
  const transport = connect(path);
  await once(transport, 'connect');
  const before = { live: liveBytes(), resident: process.memoryUsage.rss() };
  const most = { ...before };
  const over = Promise.withResolvers<HostReport['end']>();
  let looks = 0;
  let seen = 0;
  const sample = (): void => {
    most.resident = Math.max(most.resident, process.memoryUsage.rss());
    most.live = Math.max(most.live, liveBytes());
  };
  const sampling = setInterval(() => {
    sample();
    const waits = transport.isPaused() && transport.writableLength > 0 && transport.bytesRead === seen;
    looks = waits ? looks + 1 : 0;
    seen = transport.bytesRead;
    if (looks >= idleLooks) over.resolve('not reading');
  }, sampleMs);
  const agent = await openGuestAgent(transport, { helloTimeoutMs: 30_000 });
  void agent.closed.then(() => over.resolve('closed'));
  void deal(agent, dealings).catch(() => undefined);
  const end = await over.promise;
  sample();
  clearInterval(sampling);
  agent.close();
  return {
    end,
    received: transport.bytesRead,
    liveBytes: most.live - before.live,
    residentBytes: most.resident - before.resident,
  };
}

const { values } = parseArgs({ options: { socket: { type: 'string', default: '' } } });
process.on('message', (dealings: Dealings) => {
  void host(values.socket, dealings).then((report) => process.send?.(report));
});
