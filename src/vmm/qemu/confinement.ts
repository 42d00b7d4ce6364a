import { execFile } from 'node:child_process';
import { access, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { defaultVmmUidBase } from '../../config.ts';
import { type MachineShape, VmmError } from '../vmm.ts';
import { ControlGroups } from './control-groups.ts';

const run = promisify(execFile);

/**
 * How far a VMM is kept from everything else: with a root, network and user of its own; with a root and network of
 * its own, as the server's user; or by limits and a filter of system calls alone.
 */
export type ConfinementLevel = 'own-user' | 'namespace' | 'filter';

const levelMeanings: Readonly<Record<ConfinementLevel, string>> = {
  'own-user': 'microVMs have users of their own',
  namespace: "microVMs run as the server's user",
  filter: 'microVMs have neither users nor file systems of their own',
};

/** What runs on a VMM's address space besides the guest's memory: code, caches and stacks. */
const addressSpaceBytes = 8 * 1024 ** 3;
/** Memory of a VMM besides its guest's, translated code included (see `tb-size` in arguments.ts). */
const overheadBytes = 768 * 1024 ** 2;
/** The image format's own tables. */
const diskOverheadBytes = 1024 ** 3;

/** Programs find their libraries and firmware here; what a machine lacks is left out. */
const programPaths = [
  '/lib',
  '/lib64',
  '/usr/lib',
  '/usr/lib64',
  '/usr/local/lib',
  '/etc/ld.so.cache',
  '/usr/share/qemu',
  '/usr/share/seabios',
  '/usr/share/qemu-efi-aarch64',
  '/usr/local/share/qemu',
];

export interface ConfinementOptions {
  /** The program that confines, `vmm-jail`. */
  readonly jail: string;
  /** QEMU, absolute. */
  readonly binary: string;
  /** A VMM runs as the user of this number plus its process id. */
  readonly userBase?: number | undefined;
  /** Name of the control group that holds those of all VMMs. */
  readonly groupName?: string | undefined;
}

/** One VMM's share of the machine. */
export interface Cell {
  readonly directory: string;
  /** Absolute paths. */
  readonly readOnly: readonly string[];
  /** Files in `directory`, made if absent, that the VMM writes to. */
  readonly own: readonly string[];
  /** Unix sockets in `directory`, in the order of their descriptors from {@link firstSocket} on. */
  readonly sockets: readonly string[];
  readonly kvm: boolean;
  readonly shape: MachineShape;
  readonly diskBytes: number;
}

/** Descriptor of the first of a VMM's listening sockets. */
export const firstSocket = 3;

/** Starts VMMs as confined as this machine allows; see docs/security.md, "MicroVMs". */
export class Confinement {
  /** The program that confines and then becomes the VMM. */
  readonly program: string;
  readonly level: ConfinementLevel;
  /** Why not more; undefined where there is no more. */
  readonly obstacle: string | undefined;
  readonly groups: ControlGroups;
  readonly #levelArgument: string;
  readonly #programs: readonly string[];

  private constructor(
    program: string,
    level: ConfinementLevel,
    levelArgument: string,
    obstacle: string | undefined,
    groups: ControlGroups,
    programs: readonly string[],
  ) {
    this.program = program;
    this.level = level;
    this.#levelArgument = levelArgument;
    this.obstacle = obstacle;
    this.groups = groups;
    this.#programs = programs;
  }

  /**
   * Finds out by running QEMU in each kind of confinement, the strictest first.
   * @throws {VmmError} not even the least can be had
   */
  static async find(options: ConfinementOptions): Promise<Confinement> {
    const { jail, binary, userBase = defaultVmmUidBase, groupName = 'dormouse-vms' } = options;
    await access(jail).catch((error: unknown) => {
      throw new VmmError(`${jail} is missing: run scripts/setup`, { cause: error });
    });
    const [programs, groups] = await Promise.all([
      existing([
        ...programPaths,
        path.join(path.dirname(binary), '../share/qemu'),
        binary,
        await realpath(binary),
      ]),
      ControlGroups.find({ name: groupName }),
    ]);
    const root = process.getuid?.() === 0;
    const levels: readonly (readonly [ConfinementLevel, string])[] = [
      ...(root ? [['own-user', `own-user=${userBase}`] as const] : [['namespace', 'namespace'] as const]),
      ['filter', 'filter'],
    ];
    let obstacle = root ? await userObstacle(userBase) : 'the server does not run as root';
    for (const [level, argument] of levels) {
      if (level === 'own-user' && obstacle !== undefined) continue;
      const found = new Confinement(jail, level, argument, obstacle, groups, programs);
      // Twice, so that a host that fails for a moment does not leave VMMs less confined as long as this server runs.
      const failure = (await found.#tryWith(binary)) && (await found.#tryWith(binary));
      if (failure === undefined) return found;
      obstacle = failure;
    }
    throw new VmmError(`QEMU cannot be run by ${jail}: ${obstacle}`);
  }

  /** What of the confinement this machine lacks, for a person. */
  get weaknesses(): readonly string[] {
    const groups = this.groups.obstacle;
    return [
      ...(this.obstacle === undefined ? [] : [`${levelMeanings[this.level]}: ${this.obstacle}`]),
      ...(groups === undefined ? [] : [`the memory and processes of microVMs are not limited: ${groups}`]),
    ];
  }

  /** Command and arguments that start `binary` confined; {@link enclose} is to follow. */
  command(binary: string, args: readonly string[], cell: Cell): readonly [string, string[]] {
    const guestBytes = cell.shape.memoryMib * 1024 ** 2;
    const largestFile = Math.max(cell.diskBytes, guestBytes) + diskOverheadBytes;
    const options = [
      ...['--directory', cell.directory],
      ...each('--read-only', [...this.#programs, ...cell.readOnly]),
      ...(cell.kvm ? ['--kvm', 'yes'] : []),
      ...each('--listen', cell.sockets),
      ...each('--own', cell.own),
      ...['--largest-file', String(largestFile)],
      ...['--address-space', String(guestBytes + addressSpaceBytes)],
    ];
    return [this.program, [this.#levelArgument, ...options, '--', binary, ...args]];
  }

  /** Limits what the started process takes of the machine: to be done before its guest runs. */
  async enclose(pid: number, { directory, shape }: Pick<Cell, 'directory' | 'shape'>): Promise<void> {
    await this.groups.enclose(directory, pid, { ...shape, overheadBytes });
  }

  /** Why QEMU does not run so confined; undefined when it does. */
  async #tryWith(binary: string): Promise<string | undefined> {
    const directory = await realpath(await mkdtemp(path.join(os.tmpdir(), 'dormouse-jail-')));
    try {
      const programs = each('--read-only', this.#programs);
      await run(
        this.program,
        [this.#levelArgument, '--directory', directory, ...programs, '--', binary, '--version'],
        { env: {}, timeout: 20_000 },
      );
      return undefined;
    } catch (error) {
      const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
      return said.split('\n').at(-1) || (error instanceof Error ? error.message : String(error));
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}

function each(option: string, values: readonly string[]): string[] {
  return values.flatMap((value) => [option, value]);
}

async function existing(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    paths.map((name) =>
      access(name).then(
        () => [name],
        () => [],
      ),
    ),
  );
  return [...new Set(found.flat())];
}

const capabilitySysPtrace = 1n << 19n;

/** Why VMMs cannot have users of their own although the server is root; undefined when they may. */
async function userObstacle(userBase: number): Promise<string | undefined> {
  const status = await readFile('/proc/self/status', 'utf8');
  const effective = BigInt(`0x${/^CapEff:\s+([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`);
  // A suspend reads the VMM's memory.
  if ((effective & capabilitySysPtrace) === 0n) return 'the server lacks the capability CAP_SYS_PTRACE';
  const last = userBase + Number(await readFile('/proc/sys/kernel/pid_max', 'utf8'));
  return last < 2 ** 31 ? undefined : `users up to ${last} would be needed: choose a lower --vmm-uid-base`;
}
