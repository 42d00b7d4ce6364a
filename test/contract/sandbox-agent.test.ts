import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { locateAssets } from '../../src/assets.ts';
import type { GuestAgent } from '../../src/guest/guest-agent.ts';
import { openGuestAgent } from '../../src/guest/session.ts';
import { createGvisorVmm } from '../../src/vmm/gvisor/gvisor-vmm.ts';
import { agentInRoot } from '../../src/vmm/gvisor/vm-files.ts';
import { hostArchitecture } from '../../src/vmm/probe/host.ts';
import { findRunsc } from '../../src/vmm/probe/runsc.ts';
import type { Vmm, VmmInstance } from '../../src/vmm/vmm.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const assets = locateAssets();
const runsc = await findRunsc(assets);
const environment = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };

/** The agent and one program as the whole root of a sandbox. */
async function buildRoot(room: string): Promise<string> {
  const tree = path.join(room, 'tree');
  const image = path.join(room, 'root.erofs');
  const source = fileURLToPath(new URL('./sandbox-guest/program.c', import.meta.url));
  for (const name of ['proc', 'dev', 'tmp', 'sys', 'etc']) {
    await mkdir(path.join(tree, name), { recursive: true });
  }
  await copyFile(assets.agent, path.join(tree, agentInRoot));
  await run('cc', [
    '-O1',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-static',
    '-o',
    path.join(tree, 'program'),
    source,
  ]);
  await run('mkfs.erofs', ['-E', 'noinline_data', '--quiet', image, tree], { env: environment });
  return image;
}

async function output(agent: GuestAgent, ...words: string[]): Promise<string> {
  const session = await agent.exec({ argv: ['/program', ...words] });
  let text = '';
  session.stderr.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  for await (const chunk of session.stdio) text += String(chunk);
  assert.equal((await session.exit).code, 0, text);
  return text;
}

const because = runsc === undefined ? 'there is no runsc on this machine' : false;

describe('the guest agent in a gVisor sandbox', { skip: because, timeout: 300_000 }, () => {
  let room: string;
  let vmm: Vmm;
  let instance: VmmInstance;
  let agent: GuestAgent;
  let snapshot: string;

  async function open(vm: VmmInstance): Promise<GuestAgent> {
    return await openGuestAgent(await vm.connectAgent(), { helloTimeoutMs: 30_000 });
  }
  async function count(): Promise<number> {
    return Number(await output(agent, 'show', '/count'));
  }

  before(async () => {
    room = await realpath(await mkdtemp(path.join(os.tmpdir(), 'dormouse-sandbox-')));
    const rootDisk = await buildRoot(room);
    vmm = await createGvisorVmm({
      binary: runsc ?? '',
      agent: assets.agent,
      helpers: assets,
      architecture: hostArchitecture(),
      groupName: `dormouse-sandbox-${process.pid}`,
    });
    const directory = path.join(room, 'build');
    await mkdir(directory);
    const built = await vmm.boot({ directory, rootDisk, shape: { memoryMib: 192, vcpus: 1 } });
    agent = await open(built);
    await agent.assumeIdentity({ wallClockMs: Date.now, entropy: randomBytes(64) });
    await agent.startApp({
      argv: ['/program', 'count'],
      env: {},
      workdir: '/',
      uid: 0,
      gid: 0,
      supplementaryGids: [],
      hostname: 'first',
      capabilities: 'default',
    });
    await until('the application counts', async () => (await count()) > 3);
    await agent.sync({ dropCaches: true });
    await agent.quiesce();
    snapshot = path.join(room, 'snapshot');
    await built.snapshot(snapshot);
    agent.close();
    const launched = path.join(room, 'vm');
    await mkdir(launched);
    instance = await vmm.launch({ directory: launched, snapshot });
    agent = await open(instance);
  });

  after(async () => {
    agent?.close();
    await instance?.kill();
    await rm(room, { recursive: true, force: true });
  });

  it('keeps the application still until it has an identity', async () => {
    const name = { hostname: 'second', bootId: randomBytes(16), machineId: randomBytes(16) };
    await agent.assumeIdentity({ wallClockMs: Date.now, entropy: randomBytes(64), name });
    assert.equal(await output(agent, 'name'), 'second\n');
    assert.match(await output(agent, 'show', '/etc/hosts'), /^127\.0\.0\.1 localhost second\n/);
    const id = (await output(agent, 'show', '/proc/sys/kernel/random/boot_id')).replaceAll('-', '').trim();
    assert.equal(id, Buffer.from(name.bootId).toString('hex'));
    const known = await count();
    await until('the application counts', async () => (await count()) > known);
    await agent.freeze();
    const still = await count();
    for (let look = 0; look < 3; look++) assert.equal(await count(), still);
    await agent.thaw();
    const thawed = await count();
    await until('the application counts', async () => (await count()) > thawed);
  });

  it('takes itself out of the root that it serves', async () => {
    const session = await agent.exec({ argv: ['/program', 'show', `/${agentInRoot}`] });
    assert.notEqual((await session.exit).code, 0);
  });

  it('hands what leaves for other machines to the host', async () => {
    agent.onEgress({
      onConnection(connection) {
        assert.deepEqual([connection.address, connection.port], ['192.0.2.1', 80]);
        connection.accept().end('from the host');
      },
      onQuery: (query) => Promise.resolve(Buffer.from(`answer to ${query}`)),
    });
    assert.equal(await output(agent, 'reach'), 'from the host');
    assert.equal(await output(agent, 'ask'), 'answer to question');
  });

  it('goes on after a sleep where it was', async () => {
    const before = await count();
    await agent.quiesce();
    await instance.suspend();
    agent.close();
    instance = await vmm.resume({ directory: instance.directory, snapshot });
    agent = await open(instance);
    await agent.assumeIdentity({ wallClockMs: Date.now, entropy: randomBytes(64) });
    await until('the application counts', async () => (await count()) > before);
    assert.equal(await output(agent, 'name'), 'second\n');
  });
});
