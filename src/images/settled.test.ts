import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { awaitSettled } from './settled.ts';

const never = new AbortController().signal;

/** Waits on a guest whose listening ports change with each question; says how often it was asked. */
async function questions(ports: readonly (readonly number[])[], settleMs: number): Promise<number> {
  let asked = 0;
  const listeningPorts = async (): Promise<readonly number[]> => {
    asked += 1;
    return ports[Math.min(asked, ports.length) - 1] ?? [];
  };
  await awaitSettled({ listeningPorts }, settleMs, never);
  return asked;
}

describe('awaitSettled', () => {
  it('is done as soon as port 8080 listens', async () => {
    assert.equal(await questions([[], [], [22, 8080]], 60_000), 3);
  });

  it('is done when the time is up and nothing listens', async () => {
    const start = performance.now();
    await questions([[]], 600);
    assert.ok(performance.now() - start >= 600);
  });

  it('waits a while for 8080 when another port listens first', async () => {
    assert.equal(await questions([[9000], [9000], [9000, 8080]], 60_000), 3);
  });

  it('takes an application that listens elsewhere as it is', async () => {
    const start = performance.now();
    await questions([[9000]], 60_000);
    const waited = performance.now() - start;
    assert.ok(waited >= 3_000 && waited < 30_000, `${waited} ms`);
  });

  it('passes on that the guest is gone', async () => {
    const gone = new Error('gone');
    const listeningPorts = (): Promise<never> => Promise.reject(gone);
    await assert.rejects(awaitSettled({ listeningPorts }, 60_000, never), gone);
  });
});
