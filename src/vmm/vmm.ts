import type { Duplex } from 'node:stream';

export type VmmKind = 'qemu' | 'firecracker' | 'gvisor';
export type Accelerator = 'kvm' | 'tcg' | 'systrap';
export type Architecture = 'x86_64' | 'arm64';

export interface MachineShape {
  readonly memoryMib: number;
  readonly vcpus: number;
}

/** What a snapshot was made with. Whether it can be restored where something of it differs is the VMM's to say. */
export interface SnapshotOrigin {
  readonly vmm: VmmKind;
  readonly vmmVersion: string;
  readonly accelerator: Accelerator;
  readonly architecture: Architecture;
  readonly machineType: string;
  readonly cpuModel: string;
  /** SHA-256 of the guest kernel and of the initrd that carries the agent. */
  readonly kernelDigest: string;
  readonly initrdDigest: string;
  /** Version of the protocol that the agent in the snapshot speaks. */
  readonly agentProtocol: number;
  /** Number of the arrangement of devices that the VMM gives a machine of this type. */
  readonly deviceLayout: number;
}

/** Written as `manifest.json`, last, into a snapshot directory: a directory without it is not a snapshot. */
export interface SnapshotManifest {
  readonly formatVersion: 1;
  readonly id: string;
  readonly origin: SnapshotOrigin;
  readonly shape: MachineShape;
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly deviceStateBytes: number;
}

/** What one suspend stored: only what differs from the snapshot the VM came from. */
export interface DifferenceStats {
  readonly memoryBytes: number;
  readonly diskBytes: number;
  readonly deviceStateBytes: number;
}

export interface BootRequest {
  /** Absolute, existing, private to this VM; the VMM keeps its sockets, logs and overlay disk here. */
  readonly directory: string;
  /** Raw ext4 image, never written to: the VM gets a copy-on-write overlay. */
  readonly rootDisk: string;
  readonly shape: MachineShape;
}

export interface LaunchRequest {
  readonly directory: string;
  /** Directory of a complete snapshot (see {@link VmmInstance.snapshot}). */
  readonly snapshot: string;
  /** Leave the virtual CPUs stopped; {@link VmmInstance.unpause} starts them. */
  readonly paused?: boolean;
}

export interface VmmUsage {
  readonly residentBytes: number;
  /** Proportional set size: shared pages divided among those that map them. */
  readonly proportionalBytes: number;
  readonly cpuSeconds: number;
}

export interface VmmExit {
  /** One line for a person: the exit code or signal and the last words of the VMM. */
  readonly reason: string;
}

/** One live VMM process and the VM inside it. It outlives the server: see {@link Vmm.adopt}. */
export interface VmmInstance {
  readonly pid: number;
  readonly directory: string;
  /** Settles when the process is gone, whoever ended it; never rejects. */
  readonly exited: Promise<VmmExit>;

  /** Byte stream to the guest agent. The guest sees one connection at a time. */
  connectAgent(): Promise<Duplex>;

  /** Stops the virtual CPUs and flushes the disk to the host's files. Idempotent. */
  pause(): Promise<void>;
  unpause(): Promise<void>;

  /**
   * Makes `target` (a directory that does not exist yet) an immutable snapshot of a VM started by
   * {@link Vmm.boot}, and ends the VM. Durable when it resolves.
   */
  snapshot(target: string): Promise<SnapshotManifest>;

  /**
   * Stores what differs from the snapshot in the VM's directory and ends the process: afterwards the VM
   * uses no CPU and no memory, and {@link Vmm.resume} continues it. Durable when it resolves.
   * On failure the VM is left paused and intact, and an earlier difference is untouched.
   * @param options with `keepProcess` the process stays, paused, as a cache: {@link unpause} continues it at
   *   once, and losing it loses nothing
   */
  suspend(options?: { readonly keepProcess?: boolean }): Promise<DifferenceStats>;

  /**
   * Stores what this VM is at one moment in each of `directories` (absolute, existing, empty), as if a VM had been
   * suspended there: {@link Vmm.resume} makes each of them a VM of its own. This VM pauses meanwhile and goes on.
   * Durable when it resolves; on failure the directories hold nothing that could be resumed.
   */
  fork(directories: readonly string[]): Promise<void>;

  usage(): Promise<VmmUsage>;
  /** Ends the process at once and waits until it is gone. Idempotent. */
  kill(): Promise<void>;
}

/** A way to run VMs. Implementations pass the contract suite in `test/contract/`. */
export interface Vmm {
  readonly origin: SnapshotOrigin;

  /** Boots a VM from a root disk; resolves once the virtual CPUs run (not once the guest is up). */
  boot(request: BootRequest): Promise<VmmInstance>;
  /**
   * Starts a new VM from a snapshot: memory mapped privately, disk copy-on-write, generation id fresh. No guest runs
   * on a snapshot that has not been read and found whole, by this object and since its files last changed.
   * @throws {SnapshotIncompatibleError} the snapshot was made with something that this host cannot continue
   * @throws {SnapshotCorruptError} the snapshot is damaged
   */
  launch(request: LaunchRequest): Promise<VmmInstance>;
  /**
   * Continues a VM suspended in `directory`, from `snapshot` plus its difference, with a fresh generation id. The VM
   * stays suspended when it fails before the guest runs.
   * @throws {SnapshotIncompatibleError} as by {@link launch}, or the VM belongs to another snapshot
   * @throws {DifferenceCorruptError} what the VM stored is damaged
   * @throws {SnapshotCorruptError} the snapshot is
   */
  resume(request: LaunchRequest): Promise<VmmInstance>;
  /**
   * Whether {@link launch} could restore a snapshot here, without reading all of it.
   * @throws {SnapshotIncompatibleError} @throws {SnapshotCorruptError}
   */
  assertUsable(snapshot: string): Promise<void>;
  /** Reads all of a snapshot, however often that has been done. @throws {SnapshotCorruptError} it is damaged */
  verify(snapshot: string): Promise<void>;
  /** Whether `directory` holds what a suspend stored, which {@link Vmm.resume} continues from; it may be damaged. */
  isSuspended(directory: string): Promise<boolean>;
  /**
   * Whether `directory` looks as a suspend leaves it: a difference, no process, and nothing cut short that
   * {@link adopt} would settle. A glance, cheap for ten thousand VMs: damage is found by whoever uses the VM.
   */
  isAtRest(directory: string): Promise<boolean>;
  /** Reads all of what a suspend stored in `directory`. @throws {DifferenceCorruptError} damaged, or not there */
  verifySuspended(directory: string): Promise<void>;
  /** Makes `target` (absolute, existing, empty) hold what is suspended in `source`. Durable when it resolves. */
  copySuspended(source: string, target: string): Promise<void>;
  /**
   * Makes `target` (a directory that does not exist yet) an immutable snapshot of what is suspended in `source`, a
   * VM of `base`, which it does not need from then on. Durable when it resolves.
   */
  snapshotSuspended(source: string, base: string, target: string): Promise<SnapshotManifest>;
  /**
   * Decides, durably, that the VM in `directory` is to be what is suspended in `checkpoint`, which stays as it is,
   * and ends its process, if there is one. A failure leaves the VM as it is. {@link Vmm.finishRollBack} is to follow.
   */
  rollBack(directory: string, checkpoint: string): Promise<void>;
  /**
   * Makes true what {@link Vmm.rollBack} decided, if it did; the VM is suspended then. It may fail and be repeated,
   * and {@link Vmm.adopt} does the same.
   */
  finishRollBack(directory: string): Promise<void>;
  /** Re-attaches to the process left in `directory` by an earlier server; undefined when none is alive. */
  adopt(directory: string): Promise<VmmInstance | undefined>;
}

export class VmmError extends Error {
  override readonly name: string = 'VmmError';
}

/** The snapshot needs another machine, VMM or agent than this host has: rebuild the image version. */
export class SnapshotIncompatibleError extends VmmError {
  override readonly name = 'SnapshotIncompatibleError';
}

/** A snapshot or difference on disk is damaged or incomplete. */
export class SnapshotCorruptError extends VmmError {
  override readonly name: string = 'SnapshotCorruptError';
}

/** What one suspended VM has stored is damaged or incomplete; the snapshot it came from may be whole. */
export class DifferenceCorruptError extends SnapshotCorruptError {
  override readonly name = 'DifferenceCorruptError';
}
