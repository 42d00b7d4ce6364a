import type { Assets } from '../../assets.ts';
import type { Architecture, MachineShape } from '../vmm.ts';
import { firstSocket } from './confinement.ts';
import { machineFor, type QemuAccelerator } from './machine.ts';

/** Names in a VM's directory, which is QEMU's working directory. */
export const vmFiles = {
  disk: 'disk.qcow2',
  /** RAM of a VM being built; launched ones map their snapshot's. */
  memory: 'memory',
  /** What QEMU stores of its devices; of use to others only once it has been copied. */
  deviceState: 'device-state',
  control: 'qmp',
  agent: 'agent',
  console: 'console',
  log: 'vmm.log',
  process: 'process.json',
} as const;

/** The sockets QEMU is given, listening, in the order of their descriptors. */
export const vmSockets = [vmFiles.control, vmFiles.agent, vmFiles.console] as const;

/** Name of the agent's port in the guest: /dev/virtio-ports/… */
export const agentPort = 'dormouse.agent';

/** Memory for translated guest code, of which QEMU alone would take up to 1 GiB. */
const translatedCodeMib = 256;

interface ArgumentsInput {
  readonly assets: Assets;
  readonly architecture: Architecture;
  readonly accelerator: QemuAccelerator;
  /** Versioned; a restored VM has the one that it began with. */
  readonly machineType: string;
  readonly cpuModel: string;
  readonly shape: MachineShape;
  readonly memory:
    | { readonly kind: 'own' }
    /** Absolute path of a snapshot's memory, mapped privately and opened read-only. */
    | { readonly kind: 'snapshot'; readonly file: string };
  /** Read-only images below the VM's own overlay, the lowest first. Absolute paths. */
  readonly lowerDisks: readonly { readonly file: string; readonly format: 'raw' | 'qcow2' }[];
  /** What is loaded before the virtual CPUs start: nothing, a snapshot's device state, or a difference's. */
  readonly incoming: 'none' | 'snapshot' | 'difference';
}

function json(value: unknown): string {
  return JSON.stringify(value);
}

function memoryArguments(input: ArgumentsInput): string[] {
  const common = { 'qom-type': 'memory-backend-file', id: 'mem', size: input.shape.memoryMib * 1024 * 1024 };
  const backend =
    input.memory.kind === 'own'
      ? { ...common, 'mem-path': vmFiles.memory, share: true }
      : { ...common, 'mem-path': input.memory.file, share: false, readonly: true, rom: 'off' };
  return ['-object', json(backend), '-m', `${input.shape.memoryMib}M`];
}

/**
 * The chain is given here and not in the images' headers, so directories may be moved and nothing in an image
 * makes QEMU open a file. Flushes stop at the host's page cache: a VM's disk is worth nothing without its memory,
 * and suspend and snapshot make both durable together.
 */
function diskArguments(input: ArgumentsInput): string[] {
  const cache = { direct: false, 'no-flush': true };
  const lower = input.lowerDisks.flatMap(({ file, format }, level) => [
    { driver: 'file', 'node-name': `lower${level}-file`, filename: file, 'read-only': true },
    {
      driver: format,
      'node-name': `lower${level}`,
      file: `lower${level}-file`,
      'read-only': true,
      ...(level > 0 && { backing: `lower${level - 1}` }),
    },
  ]);
  const own = [
    {
      driver: 'file',
      'node-name': 'disk-file',
      filename: vmFiles.disk,
      aio: 'threads',
      discard: 'unmap',
      cache,
    },
    {
      driver: 'qcow2',
      'node-name': 'disk',
      file: 'disk-file',
      backing: `lower${input.lowerDisks.length - 1}`,
      discard: 'unmap',
      cache,
    },
  ];
  return [...lower, ...own].flatMap((node) => ['-blockdev', json(node)]);
}

function socket(name: (typeof vmSockets)[number]): string[] {
  return ['-chardev', `socket,id=${name},fd=${firstSocket + vmSockets.indexOf(name)},server=on,wait=off`];
}

/**
 * A restored guest has its kernel in its RAM and never boots again. On a PC QEMU would keep a copy of both files
 * for a boot, 15 MB for each VM; elsewhere leaving them out is untried.
 */
function kernelArguments({ assets, architecture, incoming }: ArgumentsInput, console: string): string[] {
  if (incoming !== 'none' && architecture === 'x86_64') return [];
  const commandLine = `console=${console} quiet panic=-1 mitigations=off init_on_free=1`;
  return ['-kernel', assets.kernel, '-initrd', assets.initrd, '-append', commandLine];
}

function incomingArguments(incoming: ArgumentsInput['incoming']): string[] {
  if (incoming === 'none') return [];
  // -S: the stream remembers a running VM, and nothing may run before the caller says so.
  const deferred = ['-incoming', 'defer', '-S'];
  // xen-save-devices-state writes a stream without the configuration section.
  return incoming === 'difference' ? [...deferred, '-global', 'migration.send-configuration=off'] : deferred;
}

/**
 * Save and load need the same devices in the same order: whatever differs between calls is in `input`, and whoever
 * changes the devices counts `deviceLayout` up. The stream's
 * description of itself is left out because xen-save-devices-state has none and its loader would miss it.
 */
export function qemuArguments(input: ArgumentsInput): string[] {
  const machine = machineFor(input.architecture, input.accelerator);
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-nic', 'none', '-no-reboot'],
    ...['-sandbox', 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'],
    ...['-M', `${input.machineType},memory-backend=mem,suppress-vmdesc=on${machine.options}`],
    ...['-accel', input.accelerator === 'tcg' ? `tcg,thread=multi,tb-size=${translatedCodeMib}` : 'kvm'],
    ...['-cpu', input.cpuModel, '-smp', String(input.shape.vcpus)],
    ...memoryArguments(input),
    ...kernelArguments(input, machine.console),
    ...[...socket(vmFiles.console), '-serial', `chardev:${vmFiles.console}`],
    ...diskArguments(input),
    ...['-device', 'virtio-blk-pci,id=root,drive=disk'],
    ...['-device', 'virtio-rng-pci,id=rng'],
    ...['-device', 'virtio-serial-pci,id=serial', ...socket(vmFiles.agent)],
    ...[
      '-device',
      `virtserialport,id=agentport,bus=serial.0,nr=1,chardev=${vmFiles.agent},name=${agentPort}`,
    ],
    ...(machine.generationId ? ['-device', 'vmgenid,id=generation,guid=auto'] : []),
    ...[...socket(vmFiles.control), '-mon', `chardev=${vmFiles.control},mode=control`],
    ...incomingArguments(input.incoming),
  ];
}
