import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { MachineShape } from '../vmm.ts';
import { agentInRoot, sandboxFiles } from './vm-files.ts';

/** Memory of a sandbox besides its guest's: its kernel, which is a program, and the file server beside it. */
const overheadBytes = 128 * 1024 ** 2;
/** Threads of a sandbox's kernel, and the processes that run its programs' code. */
const processes = 4_096;
const periodMicroseconds = 100_000;

/** Of the agent, which is the sandbox's root and gives the application less. They mean nothing outside. */
const capabilities = (
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT ' +
  'SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP ' +
  'MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE'
)
  .split(' ')
  .map((name) => `CAP_${name}`);

export interface SandboxSpec {
  /** EROFS image that holds the agent; read by the sandbox itself, and never written to. */
  readonly root: string;
  readonly shape: MachineShape;
  /** Control group below each hierarchy's root; undefined where there are none. */
  readonly group: string | undefined;
}

/** Writes what runsc makes the sandbox of; the same for its start and for every restore. */
export async function writeBundle(directory: string, spec: SandboxSpec): Promise<string> {
  const bundle = path.join(directory, sandboxFiles.bundle);
  await mkdir(path.join(bundle, 'rootfs'), { recursive: true, mode: 0o700 });
  await writeFile(path.join(bundle, 'config.json'), JSON.stringify(configuration(spec)), { mode: 0o600 });
  return bundle;
}

function configuration({ root, shape, group }: SandboxSpec): object {
  const sets = ['bounding', 'effective', 'permitted', 'inheritable'];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: false,
      user: { uid: 0, gid: 0 },
      args: [`/${agentInRoot}`, '--sandbox'],
      env: [],
      cwd: '/',
      capabilities: Object.fromEntries(sets.map((set) => [set, capabilities])),
    },
    root: { path: 'rootfs' },
    hostname: 'localhost',
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs' },
    ],
    annotations: {
      'dev.gvisor.spec.rootfs.source': root,
      'dev.gvisor.spec.rootfs.type': 'erofs',
      'dev.gvisor.spec.rootfs.overlay': 'memory',
    },
    linux: {
      namespaces: ['pid', 'network', 'ipc', 'uts', 'mount'].map((type) => ({ type })),
      ...(group === undefined ? {} : { cgroupsPath: group, resources: resources(shape) }),
    },
  };
}

function resources({ memoryMib, vcpus }: MachineShape): object {
  return {
    memory: { limit: memoryMib * 1024 ** 2 + overheadBytes },
    // One processor more than the guest has, for its kernel.
    cpu: { quota: (vcpus + 1) * periodMicroseconds, period: periodMicroseconds, shares: 1024 * vcpus },
    pids: { limit: processes },
  };
}
