import assert from 'node:assert/strict';
import { test } from 'node:test';
import { qemuArguments } from './arguments.ts';

const input = {
  assets: {
    directory: '/a',
    containerStorage: '/a/containers',
    kernel: '/a/kernel',
    initrd: '/a/initrd',
    memoryDifference: '/a/helper',
    vmmJail: '/a/jail',
  },
  accelerator: 'tcg',
  cpuModel: 'Nehalem',
  shape: { memoryMib: 256, vcpus: 1 },
  memory: { kind: 'own' },
  lowerDisks: [{ file: '/a/root', format: 'raw' }],
} as const;

test('only a PC that boots holds a kernel and an initrd beside its RAM', () => {
  const kernels = (['x86_64', 'arm64'] as const).flatMap((architecture) =>
    (['none', 'snapshot', 'difference'] as const).map((incoming) =>
      qemuArguments({ ...input, architecture, incoming }).filter((word) => word === '/a/kernel'),
    ),
  );
  assert.deepEqual(
    kernels.map((found) => found.length),
    [1, 0, 0, 1, 1, 1],
  );
});
