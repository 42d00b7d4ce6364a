import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SnapshotIncompatibleError, type SnapshotOrigin } from '../vmm.ts';
import { assertRestorable } from './restorable.ts';

const here: SnapshotOrigin = {
  vmm: 'qemu',
  vmmVersion: '10.1.2',
  accelerator: 'tcg',
  architecture: 'x86_64',
  machineType: 'pc-q35-10.0',
  cpuModel: 'Nehalem,+arat',
  kernelDigest: 'k',
  initrdDigest: 'i',
  agentProtocol: 2,
  deviceLayout: 1,
};
const richer = { ...here, accelerator: 'kvm', cpuModel: 'Westmere,+avx2' } as const;

const restored: readonly [string, Partial<SnapshotOrigin>, SnapshotOrigin?][] = [
  ['the same', {}],
  ['another kernel and agent build', { kernelDigest: 'x', initrdDigest: 'y' }],
  ['an older QEMU', { vmmVersion: '10.0.9' }],
  ['a later QEMU of the same series', { vmmVersion: '10.1.7' }],
  ['a newer machine type that is known here', { machineType: 'pc-q35-10.1' }],
  [
    'the plain CPU model on a host of a richer one',
    { ...richer, cpuModel: 'Westmere,+arat,+tsc-deadline' },
    richer,
  ],
];
for (const [what, change, host = here] of restored) {
  test(`restores ${what}`, () => assertRestorable({ ...here, ...change }, host));
}

const refused: readonly [Partial<SnapshotOrigin>, RegExp, SnapshotOrigin?][] = [
  [{ vmmVersion: '10.2.0' }, /a newer version of the VMM: 10\.2\.0 \(here 10\.1\.2\)$/],
  [{ vmmVersion: '11.0.0', agentProtocol: 1 }, /agent protocol: 1 \(here 2\), a newer version of the VMM/],
  [{ machineType: 'pc-q35-10.2' }, /machine type: pc-q35-10\.2/],
  [{ machineType: 'virt-10.0' }, /machine type/],
  [{ deviceLayout: 2 }, /arrangement of devices: 2/],
  [{ architecture: 'arm64' }, /architecture: arm64/],
  [richer, /accelerator: kvm/],
  [richer, /CPU model: Westmere,\+avx2 /, { ...richer, cpuModel: 'Westmere,+arat,+tsc-deadline' }],
  [{ architecture: 'arm64', kernelDigest: 'x' }, /guest kernel: x/, { ...here, architecture: 'arm64' }],
];
for (const [change, reason, host = here] of refused) {
  test(`refuses ${Object.entries(change).join(' ')}, and says why`, () => {
    assert.throws(
      () => assertRestorable({ ...here, ...change }, host),
      (error: unknown) => error instanceof SnapshotIncompatibleError && reason.test(error.message),
    );
  });
}
