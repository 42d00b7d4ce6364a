import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createQemuVmm, type QemuVmmOptions } from '../../src/vmm/qemu/qemu-vmm.ts';
import { verifySnapshot } from '../../src/vmm/qemu/snapshot-files.ts';
import { buildProbeGuest } from './probe-guest/probe-guest.ts';
import { vmmContract } from './vmm-contract.ts';

const scratch = await realpath(await mkdtemp(path.join(os.tmpdir(), 'dormouse-vmm-')));
after(() => rm(scratch, { recursive: true, force: true }));

async function which(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', `command -v ${program}`]);
  return stdout.trim();
}

async function launchInServerAndKillIt(options: QemuVmmOptions, request: object): Promise<number> {
  const script = fileURLToPath(new URL('./vmm-server.ts', import.meta.url));
  const server = spawn(process.execPath, [script, JSON.stringify({ options, request })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = once(server, 'exit');
  const [line] = (await Promise.race([once(server.stdout, 'data'), exit])) as [unknown];
  server.kill('SIGKILL');
  await exit;
  const pid = Number(String(line));
  assert.ok(Number.isInteger(pid) && pid > 1, `the server ended: ${line}`);
  return pid;
}

// KVM is what the accelerator probe decides about; here the emulator stands for every QEMU.
console.log('VMM contract: running qemu (tcg). Skipped: firecracker, gvisor (not part of this version).');

vmmContract('qemu (tcg)', async () => {
  // Longer than the path of a Unix socket may be.
  const directory = path.join(scratch, 'd'.repeat(60), 'e'.repeat(60));
  await mkdir(directory, { recursive: true });
  const { assets, rootDisk } = await buildProbeGuest(scratch);
  const architecture = process.arch === 'arm64' ? 'arm64' : 'x86_64';
  const binary = await which(`qemu-system-${architecture === 'arm64' ? 'aarch64' : architecture}`);
  const options: QemuVmmOptions = { assets, accelerator: 'tcg', binary, architecture };
  return {
    vmm: await createQemuVmm(options),
    unableToSuspend: await createQemuVmm({
      ...options,
      assets: { ...assets, memoryDifference: '/bin/false' },
    }),
    rootDisk,
    directory,
    launchAndDie: (vm, snapshot) => launchInServerAndKillIt(options, { directory: vm, snapshot }),
    verify: (snapshot) => verifySnapshot(snapshot, assets.memoryDifference),
    differenceFiles: ['difference/memory', 'difference/device-state', 'difference/manifest.json'],
    bulkFile: 'memory',
    stateFile: 'device-state',
  };
});
