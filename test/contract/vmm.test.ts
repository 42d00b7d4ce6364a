import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { locateAssets } from '../../src/assets.ts';
import { acceleratorCacheFile, probeAccelerator } from '../../src/vmm/probe/accelerator-probe.ts';
import { findExecutable, hostArchitecture, qemuProgram } from '../../src/vmm/probe/host.ts';
import { findRunsc } from '../../src/vmm/probe/runsc.ts';
import type { QemuAccelerator } from '../../src/vmm/qemu/machine.ts';
import type { QemuVmmOptions } from '../../src/vmm/qemu/qemu-vmm.ts';
import { sealed } from '../../src/vmm/stored-state/sealed.ts';
import { buildFakeMachine } from '../fake-machine/fake-machine.ts';
import { createVmm, type VmmOptions } from './create-vmm.ts';
import { buildProbeGuest, buildProbeSandbox } from './probe-guest/probe-guest.ts';
import { type Subject, vmmContract } from './vmm-contract.ts';
import type { Order } from './vmm-server.ts';

const scratch = await realpath(await mkdtemp(path.join(os.tmpdir(), 'dormouse-vmm-')));
after(() => rm(scratch, { recursive: true, force: true }));

/** Runs a server that carries out `order` and kills it `afterMs` after its first line; resolves with its lines. */
async function serveAndDie(order: Order, afterMs: number): Promise<number[]> {
  const script = fileURLToPath(new URL('./vmm-server.ts', import.meta.url));
  const server = spawn(process.execPath, [script, JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(server, 'exit') as Promise<[number | null, string | null]>;
  let output = '';
  server.stdout.on('data', (chunk: Buffer) => {
    if (output === '') setTimeout(() => server.kill('SIGKILL'), afterMs);
    output += chunk.toString();
  });
  assert.deepEqual(await exit, [null, 'SIGKILL'], 'the server ended by itself');
  return output.trim().split('\n').map(Number);
}

/** Emulation runs everywhere; KVM where a guest really boots on it, or where one is told that it does. */
async function accelerators(): Promise<readonly QemuAccelerator[]> {
  const told = process.env.DORMOUSE_ACCELERATOR;
  if (told === 'kvm' || told === 'tcg') return [told];
  const assets = locateAssets();
  const { accelerator, reason } = await probeAccelerator(assets, {
    cacheFile: acceleratorCacheFile(assets.directory),
  });
  if (accelerator === 'kvm') return ['tcg', 'kvm'];
  console.log(`VMM contract: skipped qemu (kvm): ${reason}`);
  return ['tcg'];
}

const runsc = await findRunsc(locateAssets());
const qemuAccelerators = await accelerators();

console.log('VMM contract: skipped firecracker, which is not part of this version');

console.log('VMM contract: the fake machine runs no code, so commands, egress and kernels are not in it');

vmmContract('fake machine', async () => {
  const room = path.join(scratch, 'fake');
  const { options, rootDisk } = await buildFakeMachine(room);
  return await subject(room, { engine: 'qemu', options }, rootDisk);
});

if (runsc === undefined) {
  console.log('VMM contract: skipped gvisor: there is no runsc on this machine');
} else {
  vmmContract('gvisor (systrap)', async () => {
    const room = path.join(scratch, 'gvisor');
    await mkdir(room);
    const rootDisk = await buildProbeSandbox(room);
    const helpers = {
      memoryDifference: path.join(room, 'memory-difference'),
      pageDifference: path.join(room, 'page-difference'),
    };
    const options = {
      binary: runsc,
      agent: path.join(room, 'init'),
      helpers,
      architecture: hostArchitecture(),
      groupName: `dormouse-contract-${process.pid}`,
    };
    return await subject(room, { engine: 'gvisor', options }, rootDisk);
  });
}

for (const accelerator of qemuAccelerators) {
  vmmContract(`qemu (${accelerator})`, async () => {
    const room = path.join(scratch, accelerator);
    await mkdir(room);
    const { assets, rootDisk } = await buildProbeGuest(room);
    const architecture = hostArchitecture();
    const binary = await findExecutable(qemuProgram(architecture));
    assert.ok(binary, 'QEMU is not installed');
    const options: QemuVmmOptions = { assets, accelerator, binary, architecture };
    return await subject(room, { engine: 'qemu', options }, rootDisk);
  });
}

/** An engine whose program cannot store what differs. */
async function unableToStore(room: string, of: VmmOptions): Promise<VmmOptions> {
  const unable = path.join(room, 'unable-to-save');
  const instead = async (program: string): Promise<string> => {
    const script = `#!/bin/sh\n[ "$1" = save ] && exit 1\nexec '${program}' "$@"\n`;
    await writeFile(unable, script, { mode: 0o755 });
    return unable;
  };
  if (of.engine === 'gvisor') {
    const { helpers } = of.options;
    const pageDifference = await instead(helpers.pageDifference);
    return { ...of, options: { ...of.options, helpers: { ...helpers, pageDifference } } };
  }
  const { assets } = of.options;
  const memoryDifference = await instead(assets.memoryDifference);
  return { ...of, options: { ...of.options, assets: { ...assets, memoryDifference } } };
}

const anotherProtocol = [{ agentProtocol: 99 }, /agent protocol: 99 \(here \d+\)/] as const;

const particulars = {
  qemu: {
    tolerated: { vmmVersion: '10.0.0', kernelDigest: 'e'.repeat(64), initrdDigest: 'f'.repeat(64) },
    refused: [
      anotherProtocol,
      [{ vmmVersion: '99.0.0' }, /newer version of the VMM: 99\.0\.0/],
      [{ accelerator: 'systrap' }, /accelerator: systrap/],
    ],
    differenceFiles: [
      ...['difference/memory', 'difference/device-state', 'difference/manifest.json', 'disk.qcow2'],
    ],
    bulkFiles: ['memory', 'root.ext4', 'disk.qcow2', 'overlay.qcow2'],
    launchFiles: ['device-state', 'overlay.qcow2'],
  },
  gvisor: {
    tolerated: { vmmVersion: 'another', initrdDigest: 'f'.repeat(64) },
    refused: [
      anotherProtocol,
      [{ kernelDigest: 'e'.repeat(64) }, /another build of runsc: e{64}/],
      [{ cpuModel: 'features-of-another' }, /another set of processor features/],
    ],
    differenceFiles: ['checkpoint.img', 'pages_meta.img', 'pages', 'manifest.json'].map(
      (name) => `sandbox-state/${name}`,
    ),
    bulkFiles: ['pages.img', 'root.erofs'],
    launchFiles: ['checkpoint.img', 'pages_meta.img'],
  },
} satisfies Record<VmmOptions['engine'], Partial<Subject>>;

async function subject(room: string, options: VmmOptions, rootDisk: string): Promise<Subject> {
  // Longer than the path of a Unix socket may be.
  const directory = path.join(room, 'd'.repeat(60), 'e'.repeat(60));
  await mkdir(directory, { recursive: true });
  return {
    vmm: await createVmm(options),
    unableToSuspend: await createVmm(await unableToStore(room, options)),
    rootDisk,
    directory,
    async launchAndDie(vm, snapshot) {
      const [pid = 0] = await serveAndDie(
        { options, request: { directory: vm, snapshot }, task: 'launch' },
        0,
      );
      return pid;
    },
    cycleAndDie: (vm, snapshot, afterMs) =>
      serveAndDie({ options, request: { directory: vm, snapshot }, task: 'cycle' }, afterMs),
    another: () => createVmm(options),
    sealed,
    ...particulars[options.engine],
  };
}
