import type { SnapshotOrigin } from './vmm.ts';

/** What a machine is that runs nothing. */
export const originForTest: SnapshotOrigin = {
  vmm: 'qemu',
  vmmVersion: '10',
  accelerator: 'tcg',
  architecture: 'x86_64',
  machineType: 'q35',
  cpuModel: 'qemu64',
  kernelDigest: '',
  initrdDigest: '',
  agentProtocol: 1,
  deviceLayout: 1,
};
