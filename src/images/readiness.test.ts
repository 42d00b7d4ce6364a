import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import type { ExecSession, ExecSpec, GuestAgent } from '../guest/guest-agent.ts';
import { awaitReady, type ReadinessRules, readinessWarning } from './readiness.ts';

const never = new AbortController().signal;
const server: ReadinessRules = { exposed: [3000], worker: false, limitMs: 60_000, healthcheck: undefined };

/** A program that ends at once. */
function session(code: number): ExecSession {
  return {
    stdio: new PassThrough(),
    stderr: new PassThrough(),
    exit: Promise.resolve({ code, signal: 0 }),
    resize: () => undefined,
    signal: () => undefined,
    close: () => undefined,
  };
}

interface Course {
  /** Listening ports at each look; the last ones stay. */
  readonly ports: readonly (readonly number[])[];
  /** Whether it uses its processors at a look; it never does after the last. */
  readonly busyLooks?: number;
}

/** Looks at a guest whose ports and use of processors change with each look. */
async function look(
  { ports, busyLooks = 0 }: Course,
  rules: ReadinessRules,
  exec: GuestAgent['exec'] = () => assert.fail('nothing to run'),
) {
  let looks = 0;
  let cpuSeconds = 0;
  const start = performance.now();
  const readiness = await awaitReady(
    {
      listeningPorts: async () => {
        looks += 1;
        return ports[Math.min(looks, ports.length) - 1] ?? [];
      },
      stats: async () => {
        if (looks <= busyLooks) cpuSeconds += 0.25;
        return { memoryTotalBytes: 0, memoryAvailableBytes: 0, cpuSeconds, uptimeSeconds: 0 };
      },
      exec: (spec) => exec(spec),
    },
    rules,
    never,
  );
  return { readiness, looks, waitedMs: performance.now() - start };
}

describe('awaitReady', () => {
  it('is done as soon as the exposed ports listen, and not for any other', async () => {
    const { readiness, looks } = await look({ ports: [[], [22], [22, 8080], [22, 3000]] }, server);
    assert.deepEqual(readiness, { type: 'listening', ports: [22, 3000] });
    assert.equal(looks, 4);
  });

  it('is done as soon as port 8080 listens where none is exposed', async () => {
    const { looks } = await look({ ports: [[], [], [22, 8080]], busyLooks: 9 }, { ...server, exposed: [] });
    assert.equal(looks, 3);
  });

  it('takes an application as it is that listens on some of its ports', async () => {
    const { readiness, waitedMs } = await look({ ports: [[3000]] }, { ...server, exposed: [3000, 9000] });
    assert.deepEqual(readiness, { type: 'listening', ports: [3000] });
    assert.ok(waitedMs >= 3000 && waitedMs < 30_000, `${waitedMs} ms`);
  });

  it('waits for one that is busy, and lets one that does nothing be', async () => {
    const idle = await look({ ports: [[]] }, { ...server, exposed: [] });
    const busy = await look({ ports: [[]], busyLooks: 12 }, { ...server, exposed: [] });
    assert.equal(idle.readiness.type, 'silent');
    assert.ok(busy.looks >= idle.looks + 9, `${busy.looks} looks, ${idle.looks} when idle`);
  });

  it('gives up at the limit however busy it is', async () => {
    const { readiness } = await look({ ports: [[]], busyLooks: 999 }, { ...server, limitMs: 700 });
    assert.equal(readiness.type, 'silent');
  });

  it('hardly waits for a worker that listens all the same', async () => {
    const rules = { ...server, exposed: [], worker: true, limitMs: 10_000 };
    const { readiness, waitedMs } = await look({ ports: [[], [8080]] }, rules);
    assert.deepEqual(readiness, { type: 'worker' });
    assert.ok(waitedMs < rules.limitMs, `${waitedMs} ms`);
  });

  it('hardly waits for a worker, and warns of none', async () => {
    const rules = { ...server, exposed: [], worker: true };
    const { readiness, waitedMs } = await look({ ports: [[]] }, rules);
    assert.deepEqual(readiness, { type: 'worker' });
    assert.ok(waitedMs < 10_000);
    assert.equal(readinessWarning(readiness, rules), undefined);
  });

  it('asks the HEALTHCHECK, where there is one, until it succeeds', async () => {
    const healthcheck = { argv: ['check'], intervalMs: 1, timeoutMs: 1000 };
    const rules = { ...server, healthcheck };
    const asked: ExecSpec[] = [];
    const succeedAt =
      (time: number): GuestAgent['exec'] =>
      async (spec) => {
        asked.push(spec);
        return session(asked.length === time ? 0 : 1);
      };
    assert.deepEqual((await look({ ports: [[]] }, rules, succeedAt(3))).readiness, { type: 'healthy' });
    assert.deepEqual(asked, Array(3).fill({ argv: ['check'] }));
    const { readiness } = await look({ ports: [[]] }, { ...rules, limitMs: 5 }, succeedAt(-1));
    assert.match(readinessWarning(readiness, rules) ?? '', /HEALTHCHECK did not succeed/);
  });

  it('names the port that nothing listens on, and what to do', () => {
    const silent = { type: 'silent', waitedMs: 20_000 } as const;
    assert.match(readinessWarning(silent, server) ?? '', /port 3000 \(EXPOSE\) after 20 s.*--ready-timeout/);
    assert.match(readinessWarning(silent, { ...server, exposed: [] }) ?? '', /port 8080 .*EXPOSE.*--worker/);
  });

  it('passes on that the guest is gone', async () => {
    const gone = new Error('gone');
    const fail = (): Promise<never> => Promise.reject(gone);
    await assert.rejects(awaitReady({ listeningPorts: fail, stats: fail, exec: fail }, server, never), gone);
  });
});
