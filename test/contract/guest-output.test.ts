import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import type { GuestAgent } from '../../src/guest/guest-agent.ts';
import { openGuestAgent } from '../../src/guest/session.ts';
import { AgentProcess } from './agent-process.ts';

const run = promisify(execFile);
const printed = 4_000_000;

async function startPrinting(agent: GuestAgent, script: string): Promise<void> {
  await agent.startApp({
    ...{ env: { PATH: '/usr/bin:/bin' }, workdir: '/', uid: 0, gid: 0, supplementaryGids: [] },
    argv: ['sh', '-c', script],
    hostname: 'localhost',
    capabilities: 'default',
  });
}

function open(channel: Socket): Promise<GuestAgent> {
  return openGuestAgent(channel, { helloTimeoutMs: 60_000 });
}

describe('output of an application that prints much', { timeout: 60_000 }, () => {
  let program: AgentProcess;
  let directory: string;

  before(async () => {
    program = await AgentProcess.start();
    directory = await mkdtemp(path.join(tmpdir(), 'dormouse-output-'));
  });
  after(async () => {
    await program.stop();
    await rm(directory, { recursive: true });
  });

  it('waits for a host that takes it slowly, and loses nothing', async () => {
    const channel = await program.channel();
    const agent = await open(channel);
    let received = 0;
    const complete = Promise.withResolvers<void>();
    agent.onLog(
      (_source, chunk) => {
        received += chunk.length;
        if (received >= printed) complete.resolve();
      },
      () => assert.fail(),
    );
    // Much slower than an application prints.
    const slow = setInterval(() => channel.resume(), 10);
    channel.on('data', () => channel.pause());
    await startPrinting(agent, `head -c ${printed} /dev/zero`);
    const exit = await agent.appExit();
    assert.equal(exit.code, 0);
    await Promise.race([complete.promise, agent.closed]);
    clearInterval(slow);
    assert.equal(received, printed);
    agent.close();
  });

  it('is kept without a host as far as there is room, and the rest is counted', async () => {
    const first = await open(await program.channel());
    const [go, done] = [path.join(directory, 'go'), path.join(directory, 'done')];
    await run('mkfifo', [go, done]);
    await startPrinting(first, `cat ${go}; head -c ${printed} /dev/zero; echo > ${done}`);
    first.close();
    // Without a greeting there is no session on it; the end of the one before is seen first.
    const channel = await program.channel();
    await writeFile(go, '');
    await readFile(done);
    const second = await open(channel);
    const chunks: Buffer[] = [];
    second.onLog(
      (_source, chunk) => chunks.push(Buffer.from(chunk)),
      () => assert.fail(),
    );
    assert.equal((await second.appExit()).code, 0);
    // Behind everything that was said before.
    await second.appStatus();
    second.close();
    const text = Buffer.concat(chunks).toString('latin1');
    const [note = '', dropped] = /^\[(\d+) bytes of output dropped\]\n/.exec(text) ?? [];
    assert.ok(Number(dropped) > printed - 512 * 1024, note);
    assert.equal(Number(dropped) + text.length - note.length, printed);
  });
});
