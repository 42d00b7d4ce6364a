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
import type { QemuAccelerator } from '../../src/vmm/qemu/machine.ts';
import { createQemuVmm, type QemuVmmOptions } from '../../src/vmm/qemu/qemu-vmm.ts';
import { sealed } from '../../src/vmm/qemu/sealed.ts';
import { buildFakeMachine } from '../fake-machine/fake-machine.ts';
import { buildProbeGuest } from './probe-guest/probe-guest.ts';
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

console.log('VMM contract: skipped firecracker and gvisor, which are not part of this version');

console.log('VMM contract: the fake machine runs no code, so commands, egress and kernels are not in it');

vmmContract('fake machine', async () => {
  const room = path.join(scratch, 'fake');
  const { options, rootDisk } = await buildFakeMachine(room);
  return await subject(room, options, rootDisk);
});

for (const accelerator of await accelerators()) {
  vmmContract(`qemu (${accelerator})`, async () => {
    const room = path.join(scratch, accelerator);
    await mkdir(room);
    const { assets, rootDisk } = await buildProbeGuest(room);
    const architecture = hostArchitecture();
    const binary = await findExecutable(qemuProgram(architecture));
    assert.ok(binary, 'QEMU is not installed');
    return await subject(room, { assets, accelerator, binary, architecture }, rootDisk);
  });
}

async function subject(room: string, options: QemuVmmOptions, rootDisk: string): Promise<Subject> {
  const { assets } = options;
  const memoryDifference = path.join(room, 'unable-to-save');
  const unable = `#!/bin/sh\n[ "$1" = save ] && exit 1\nexec '${assets.memoryDifference}' "$@"\n`;
  await writeFile(memoryDifference, unable, { mode: 0o755 });
  // Longer than the path of a Unix socket may be.
  const directory = path.join(room, 'd'.repeat(60), 'e'.repeat(60));
  await mkdir(directory, { recursive: true });
  return {
    vmm: await createQemuVmm(options),
    unableToSuspend: await createQemuVmm({
      ...options,
      assets: { ...assets, memoryDifference },
    }),
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
    another: () => createQemuVmm(options),
    sealed,
    differenceFiles: [
      ...['difference/memory', 'difference/device-state', 'difference/manifest.json', 'disk.qcow2'],
    ],
    bulkFiles: ['memory', 'root.ext4', 'disk.qcow2', 'overlay.qcow2'],
    launchFiles: ['device-state', 'overlay.qcow2'],
  };
}
