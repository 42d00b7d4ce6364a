/** What microVMs take of a host, and whether one more fits. Pure; sizes in bytes. */

export interface Cost {
  readonly memoryBytes: number;
  readonly vcpus: number;
}

/** What may be given out. */
export interface CapacityLimits {
  /** Memory of all VMs that are awake, and of what is held to make others start faster. */
  readonly memoryBytes: number;
  /** Memory that the host keeps for everything else. */
  readonly memoryReserveBytes: number;
  readonly vcpus: number;
  /** Disk space that stays free, besides what the suspends of all VMs that are awake will need. */
  readonly diskReserveBytes: number;
}

/** What the host has at the moment. */
export interface HostState {
  readonly availableMemoryBytes: number;
  readonly freeDiskBytes: number;
  /** Memory held for speed, which gives way when it is asked to. */
  readonly heldBytes: number;
}

export type CapacityResource = 'memory' | 'CPU' | 'disk';

export interface Shortage {
  readonly resource: CapacityResource;
  /** Bytes, or virtual CPUs: what is missing of what is wanted, and the most there can be for all together. */
  readonly missing: number;
  readonly wanted: number;
  readonly most: number;
  /** Whether it would not fit even if no other were awake. */
  readonly never: boolean;
}

interface Entry {
  readonly cost: Cost;
  /** Whether what it takes can be seen in the host's figures. */
  readonly settled: boolean;
}

/** The VMs that are awake, or becoming so, those of builds too, and what each is expected to take. */
export class CapacityLedger {
  readonly #entries = new Map<string, Entry>();
  #memoryBytes = 0;
  #unsettledBytes = 0;
  #vcpus = 0;

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get vcpus(): number {
    return this.#vcpus;
  }

  get size(): number {
    return this.#entries.size;
  }

  has(id: string): boolean {
    return this.#entries.has(id);
  }

  /** Why `cost` cannot be added now; undefined when it can. The disk comes last: nothing gives way for it. */
  shortage(cost: Cost, limits: CapacityLimits, host: HostState): Shortage | undefined {
    const overBudget = this.#memoryBytes + host.heldBytes + cost.memoryBytes - limits.memoryBytes;
    const free = host.availableMemoryBytes - this.#unsettledBytes - limits.memoryReserveBytes;
    const memory = Math.max(overBudget, cost.memoryBytes - free);
    if (memory > 0) {
      return short('memory', memory, cost.memoryBytes, limits.memoryBytes);
    }
    const vcpus = this.#vcpus + cost.vcpus - limits.vcpus;
    if (vcpus > 0) return short('CPU', vcpus, cost.vcpus, limits.vcpus);
    const wanted = this.#memoryBytes + cost.memoryBytes + limits.diskReserveBytes;
    const disk = wanted - host.freeDiskBytes;
    // A disk may be emptied by anybody.
    return disk > 0 ? short('disk', disk, cost.memoryBytes, Number.POSITIVE_INFINITY) : undefined;
  }

  /** Adds a VM, or changes what one is expected to take. */
  take(id: string, cost: Cost, settled = false): void {
    this.give(id);
    this.#entries.set(id, { cost, settled });
    this.#add(cost, settled, 1);
  }

  /** From here on the host's figures show what the VM takes. */
  settle(id: string): void {
    const entry = this.#entries.get(id);
    if (entry !== undefined && !entry.settled) this.take(id, entry.cost, true);
  }

  /** @returns whether it was there */
  give(id: string): boolean {
    const entry = this.#entries.get(id);
    if (entry === undefined) return false;
    this.#entries.delete(id);
    this.#add(entry.cost, entry.settled, -1);
    return true;
  }

  #add({ memoryBytes, vcpus }: Cost, settled: boolean, sign: 1 | -1): void {
    this.#memoryBytes += sign * memoryBytes;
    this.#vcpus += sign * vcpus;
    if (!settled) this.#unsettledBytes += sign * memoryBytes;
  }
}

function short(resource: CapacityResource, missing: number, wanted: number, most: number): Shortage {
  return { resource, missing, wanted, most, never: wanted > most };
}

/** What the VMM takes besides its guest's memory, where nothing has been measured yet. */
const vmmBytes = 64 * 1024 ** 2;
/** Of a guest's memory, the share that one of an unknown kind is expected to make its own. */
const unknownShare = 0.5;
/** Weight of the newest measurement, and what is expected beyond the measured. */
const newestWeight = 0.3;
const margin = 1.25;

/** Learns what VMs of a version take: most of their memory is shared with the snapshot. */
export class CostModel {
  readonly #measured = new Map<string, number>();

  /** @param kind what VMs that are alike have in common */
  measure(kind: string, bytes: number): void {
    const before = this.#measured.get(kind) ?? bytes;
    this.#measured.set(kind, before + newestWeight * (bytes - before));
  }

  expect(kind: string, memoryMib: number): number {
    const measured = this.#measured.get(kind);
    const guest = memoryMib * 1024 ** 2;
    return Math.ceil(measured === undefined ? guest * unknownShare + vmmBytes : measured * margin);
  }
}
