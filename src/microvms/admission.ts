import type { Logger } from 'pino';
import {
  CapacityLedger,
  type CapacityLimits,
  type CapacityResource,
  type Cost,
  CostModel,
  type HostState,
  type Shortage,
} from '../model/capacity.ts';
import type { Clock } from '../model/clock.ts';
import { vcpusFor } from '../model/limits.ts';
import type { Microvm } from '../model/microvm.ts';
import { oneAtATime } from '../model/one-at-a-time.ts';
import type { Count, Metrics } from '../telemetry/metrics.ts';
import type { VmmInstance } from '../vmm/vmm.ts';
import { MicrovmUnreachableError } from './microvm-service.ts';

/** How long a launch or a wake waits for room, and how often the host is looked at meanwhile. */
const patienceMs = 10_000;
const retryMs = 500;
/** Launches and wakes that may wait; more are refused at once. */
const mostWaiting = 256;
/** VMs measured at a time, and how often at most. */
const samples = 4;
const sampleMs = 10_000;

export class CapacityError extends Error {
  override readonly name = 'CapacityError';
  readonly resource: CapacityResource;

  constructor(resource: CapacityResource, message: string) {
    super(message);
    this.resource = resource;
  }
}

export interface AdmissionOptions {
  /** Looks at the host. */
  readonly look: () => Promise<{ readonly limits: CapacityLimits; readonly host: HostState }>;
  /** Makes what holds memory for speed give so much of it back. */
  readonly reclaim: (bytes: number) => Promise<void>;
  /** Begins to put the VM to sleep that has been idle for longest; whether there was one. Absent: never. */
  readonly evict?: (() => Promise<boolean>) | undefined;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

type Admitted = Pick<Microvm, 'microvmId' | 'imageArn' | 'imageVersion' | 'memoryMib'>;

interface Waiting {
  readonly vms: readonly Admitted[];
  readonly granted: PromiseWithResolvers<void>;
}

/**
 * Lets VMs be awake only as far as the host carries them. One that does not fit makes what is held for speed give way,
 * waits a while for others to fall asleep, in the order of asking, and then is refused.
 */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #ledger = new CapacityLedger();
  readonly #costs = new CostModel();
  /** The longest waiting first. */
  readonly #queue: Waiting[] = [];
  readonly #exclusively = oneAtATime();
  readonly #running = new Map<string, { readonly vm: Admitted; readonly instance: VmmInstance }>();
  readonly #refusals: Count;
  #cancelRetry: (() => void) | undefined;
  #evicting = false;
  #sampledAt = Number.NEGATIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    const { metrics } = options;
    metrics.reading(
      'capacity_memory_bytes',
      'Memory that microVMs awake and builds are expected to take.',
      () => this.#ledger.memoryBytes,
    );
    metrics.reading(
      'capacity_memory_limit_bytes',
      'Most of it that is given out.',
      async () => (await options.look()).limits.memoryBytes,
    );
    metrics.reading(
      'capacity_vcpus',
      'Virtual CPUs of microVMs awake and of builds.',
      () => this.#ledger.vcpus,
    );
    metrics.reading('capacity_waiting', 'Launches and wakes that wait for room.', () => this.#queue.length);
    this.#refusals = metrics.count(
      'capacity_refusals_total',
      'Launches and wakes refused for want of room.',
      ['resource'],
    );
  }

  get ledger(): Pick<CapacityLedger, 'memoryBytes' | 'vcpus' | 'size'> {
    return this.#ledger;
  }

  /**
   * Reserves room for VMs that are to be awake, all of them or none, and waits for it if need be.
   * @throws {CapacityError} there is none, and none came free in time
   * @throws the signal's reason; nothing is reserved then
   */
  async admit(vms: readonly Admitted[], signal?: AbortSignal): Promise<void> {
    const wanted = vms.filter((vm) => !this.#ledger.has(vm.microvmId));
    if (wanted.length === 0) return;
    const entry: Waiting = { vms: wanted, granted: Promise.withResolvers() };
    // Whoever waits no longer must not leave a rejection behind.
    entry.granted.promise.catch(() => undefined);
    if (this.#queue.length >= mostWaiting) throw await this.#refusal(entry);
    this.#queue.push(entry);
    const expire = (): void => {
      void this.#refusal(entry).then((error) => this.#leave(entry, error));
    };
    const abort = (): void => this.#leave(entry, signal?.reason);
    const cancel = this.#options.clock.schedule(patienceMs, expire);
    signal?.addEventListener('abort', abort, { once: true });
    try {
      signal?.throwIfAborted();
      this.#pump();
      await entry.granted.promise;
    } finally {
      cancel();
      signal?.removeEventListener('abort', abort);
      this.#leave(entry, new Error('left'));
    }
  }

  /**
   * As {@link admit}, for a VM that is asleep.
   * @throws {MicrovmUnreachableError} there is no room, and none came free in time
   */
  async admitWake(vm: Admitted, signal: AbortSignal): Promise<void> {
    await this.admit([vm], signal).catch((error: unknown) => {
      if (!(error instanceof CapacityError)) throw error;
      throw new MicrovmUnreachableError('INSUFFICIENT_CAPACITY', error.message);
    });
  }

  /**
   * Reserves room for something that can wait, of an unknown kind: only while nobody waits who cannot. Ends with
   * {@link release}.
   * @returns what is short; undefined when it is reserved
   */
  async admitLast(id: string, memoryMib: number): Promise<Shortage | undefined> {
    const cost = { memoryBytes: this.#costs.expect(id, memoryMib), vcpus: vcpusFor(memoryMib) };
    return await this.#exclusively(async () => {
      const ahead = this.#queue.map((entry) => this.#totalOf(entry));
      const shortage = await this.#makeRoom(sum([cost, ...ahead])).catch((error: unknown) =>
        this.#notKnowing(error),
      );
      if (shortage === undefined) this.#ledger.take(id, cost);
      else if (ahead.length > 0) return { ...shortage, never: false };
      return shortage;
    });
  }

  /** Says that the host's figures show what was reserved. */
  settle(id: string): void {
    this.#ledger.settle(id);
  }

  /** Follows what becomes of a VM: one that sleeps or has ended takes nothing. */
  follow(vm: Admitted & Pick<Microvm, 'state'>): void {
    if (vm.state === 'SUSPENDED' || vm.state === 'TERMINATED') {
      this.release(vm.microvmId);
    } else if (vm.state !== 'PENDING' && !this.#ledger.has(vm.microvmId)) {
      // It runs already: found after a restart.
      this.#ledger.take(vm.microvmId, this.#costOf(vm), true);
    } else if (vm.state === 'RUNNING') {
      this.#ledger.settle(vm.microvmId);
    }
  }

  /** Takes a reservation back. */
  release(microvmId: string): void {
    this.#running.delete(microvmId);
    if (this.#ledger.give(microvmId)) this.#pump();
  }

  /** Says which process a VM runs in, so that VMs of its kind are expected to take what it takes. */
  watch(vm: Admitted, instance: VmmInstance): void {
    this.#running.set(vm.microvmId, { vm, instance });
  }

  close(): void {
    this.#cancelRetry?.();
  }

  #costOf({ imageArn, imageVersion, memoryMib }: Admitted): Cost {
    return {
      memoryBytes: this.#costs.expect(`${imageArn} ${imageVersion}`, memoryMib),
      vcpus: vcpusFor(memoryMib),
    };
  }

  #totalOf({ vms }: Waiting): Cost {
    return sum(vms.map((vm) => this.#costOf(vm)));
  }

  #leave(entry: Waiting, reason: unknown): void {
    const at = this.#queue.indexOf(entry);
    if (at < 0) return;
    this.#queue.splice(at, 1);
    entry.granted.reject(reason);
    this.#pump();
  }

  #pump(): void {
    if (this.#queue.length === 0) return;
    this.#exclusively(() => this.#serve()).catch((error: unknown) => {
      this.#notKnowing(error);
      const first = this.#queue[0];
      if (first !== undefined) this.#grant(first);
    });
  }

  /** Not knowing is no reason to refuse anybody. */
  #notKnowing(error: unknown): undefined {
    this.#options.logger.error({ err: error }, 'the capacity of the host was not looked at');
  }

  /** Lets in as many as fit, the longest waiting first. */
  async #serve(): Promise<void> {
    for (let first = this.#queue[0]; first !== undefined; first = this.#queue[0]) {
      const shortage = await this.#makeRoom(this.#totalOf(first));
      if (this.#queue[0] !== first) continue;
      if (shortage === undefined) this.#grant(first);
      else if (shortage.never) this.#leave(first, this.#refuse(shortage.resource));
      else return this.#retryLater();
    }
  }

  #grant(entry: Waiting): void {
    this.#queue.splice(this.#queue.indexOf(entry), 1);
    for (const vm of entry.vms) this.#ledger.take(vm.microvmId, this.#costOf(vm));
    entry.granted.resolve();
    this.#sample();
  }

  async #shortage(cost: Cost): Promise<Shortage | undefined> {
    const { limits, host } = await this.#options.look();
    return this.#ledger.shortage(cost, limits, host);
  }

  /** Has others give way; what is short even so. */
  async #makeRoom(cost: Cost): Promise<Shortage | undefined> {
    const before = await this.#shortage(cost);
    if (before === undefined || before.never) return before;
    if (before.resource === 'memory') await this.#options.reclaim(before.missing);
    const after = await this.#shortage(cost);
    if (after === undefined || after.resource === 'disk') return after;
    if (this.#options.evict !== undefined && !this.#evicting) {
      this.#evicting = true;
      const evicted = this.#options.evict().finally(() => {
        this.#evicting = false;
      });
      evicted.catch((error: unknown) =>
        this.#options.logger.error({ err: error }, 'no VM could be put to sleep'),
      );
    }
    return after;
  }

  #retryLater(): void {
    this.#cancelRetry ??= this.#options.clock.schedule(retryMs, () => {
      this.#cancelRetry = undefined;
      this.#pump();
    });
  }

  async #refusal(entry: Waiting): Promise<CapacityError> {
    const { resource = 'memory' } = (await this.#shortage(this.#totalOf(entry)).catch(() => undefined)) ?? {};
    return this.#refuse(resource);
  }

  #refuse(resource: CapacityResource): CapacityError {
    this.#refusals.add(1, resource);
    return new CapacityError(resource, refusals[resource]);
  }

  /** Looks, in the background and now and then, at what some running VMs really take. */
  #sample(): void {
    const now = this.#options.clock.now();
    if (now - this.#sampledAt < sampleMs || this.#running.size === 0) return;
    this.#sampledAt = now;
    const chosen = [...this.#running.entries()].slice(0, samples);
    void Promise.all(
      chosen.map(async ([microvmId, running]) => {
        const usage = await running.instance.usage().catch(() => undefined);
        if (usage === undefined || this.#running.get(microvmId) !== running) return;
        const { imageArn, imageVersion, memoryMib } = running.vm;
        this.#costs.measure(`${imageArn} ${imageVersion}`, usage.proportionalBytes);
        const cost = { memoryBytes: usage.proportionalBytes, vcpus: vcpusFor(memoryMib) };
        this.#ledger.take(microvmId, cost, true);
        // The next look is at others.
        this.#running.delete(microvmId);
        this.#running.set(microvmId, running);
      }),
    );
  }
}

function sum(costs: readonly Cost[]): Cost {
  return {
    memoryBytes: costs.reduce((total, { memoryBytes }) => total + memoryBytes, 0),
    vcpus: costs.reduce((total, { vcpus }) => total + vcpus, 0),
  };
}

const refusals: Readonly<Record<CapacityResource, string>> = {
  memory: 'The host does not have enough memory for the MicroVM at the moment.',
  CPU: 'The host does not have enough processors for the MicroVM at the moment.',
  disk: 'The host does not have enough disk space for the MicroVM.',
};
