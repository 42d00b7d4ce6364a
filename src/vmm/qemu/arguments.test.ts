import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { qemuArguments } from './arguments.ts';
import { deviceLayout } from './machine.ts';

const input = {
  assets: {
    directory: '/a',
    containerStorage: '/a/containers',
    kernel: '/a/kernel',
    initrd: '/a/initrd',
    memoryDifference: '/a/helper',
    vmmJail: '/a/jail',
    runsc: '/a/runsc',
    pageDifference: '/a/pages',
    agent: '/a/agent',
  },
  accelerator: 'tcg',
  machineType: 'pc-q35-10.0',
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

/** What decides how a machine's stored state is read: devices, their order and their properties. */
function devices(accelerator: 'tcg' | 'kvm', architecture: 'x86_64' | 'arm64'): string {
  const args = qemuArguments({ ...input, accelerator, architecture, incoming: 'snapshot' });
  const wanted = new Set(['-M', '-blockdev', '-device', '-serial', '-object', '-smp']);
  const pairs = args.flatMap((word, at) => (wanted.has(word) ? [`${word} ${args[at + 1]}`] : []));
  return createHash('sha256').update(pairs.join('\n')).digest('hex').slice(0, 16);
}

test('devices stay as they are, or their arrangement gets a new number', () => {
  // Stored VMs have to be told apart from new ones: count `deviceLayout` up when a digest changes.
  assert.deepEqual(
    {
      deviceLayout,
      x86: devices('tcg', 'x86_64'),
      arm: devices('tcg', 'arm64'),
      same: devices('kvm', 'x86_64') === devices('tcg', 'x86_64'),
    },
    { deviceLayout: 1, x86: '20d26d0777ee435f', arm: '02d5fc5d97bbc6f0', same: true },
  );
});
