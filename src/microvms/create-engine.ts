import path from 'node:path';
import type { Logger } from 'pino';
import type { ImageService } from '../images/image-service.ts';
import { defaultActivity } from '../model/activity.ts';
import type { Clock } from '../model/clock.ts';
import type { Profile } from '../model/limits.ts';
import type { WarmPoolPolicy } from '../model/warm-pool.ts';
import type { GuestNetwork } from '../network/guest-network.ts';
import { ActivitySettingsRepository } from '../store/activity-settings.ts';
import type { Store } from '../store/database.ts';
import type { EventLog } from '../store/event-log.ts';
import { LeaseRepository } from '../store/leases.ts';
import { MicrovmRepository } from '../store/microvms.ts';
import type { LogStore } from '../telemetry/log-store.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Vmm } from '../vmm/vmm.ts';
import { Activity } from './activity.ts';
import { ActivityJournal } from './activity-journal.ts';
import { Admission } from './admission.ts';
import type { Engine } from './engine.ts';
import { freeDiskBytes, processors, withinControlGroup } from './host-capacity.ts';
import { HostPressure } from './host-pressure.ts';
import { Leases } from './leases.ts';
import { discardSpare, makeSpare } from './pool/spare.ts';
import { WarmPool } from './pool/warm-pool.ts';
import { StartGate } from './start-gate.ts';
import { declareMicrovmMetrics, TransitionMetrics } from './transition-metrics.ts';
import { Transitions } from './transitions.ts';
import { WakeCache } from './wake-cache.ts';

export interface EngineOptions {
  readonly store: Store;
  /** Where changes of state are told; in the store alone when absent. */
  readonly events?: EventLog | undefined;
  readonly vmm: Vmm;
  readonly images: ImageService;
  readonly logs: LogStore;
  readonly network: GuestNetwork;
  /** Where figures are kept; nobody sees them when absent. */
  readonly metrics?: Metrics | undefined;
  readonly profile: Profile;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Holds one directory per microVM. */
  readonly directory: string;
  /** Memory for paused processes of sleeping VMs; 0 keeps none. */
  readonly wakeCacheBytes: number;
  /** VMs kept ready for launches. */
  readonly warmPool: WarmPoolPolicy;
  readonly capacity: CapacityOptions;
}

/** What of the host is for microVMs. */
export interface CapacityOptions {
  /** Memory of all that are awake; 0 takes most of the host's. */
  readonly memoryBudgetBytes: number;
  /** Virtual CPUs for each processor; 0 counts none. */
  readonly cpuOvercommit: number;
  readonly diskReserveBytes: number;
  readonly evictIdle: boolean;
}

/** What the engine needs of whoever owns all VMs. */
export interface EngineOwner {
  readonly closing: Engine['closing'];
  readonly changed: Engine['changed'];
  /** Begins to put the VM to sleep that has been idle for longest; whether there was one. */
  readonly evict: () => Promise<boolean>;
}

/** Shares of the host's memory: for VMs, and for everything else. */
const budgetShare = 0.9;
const reserveShare = 0.05;

/** VMs restored at once, however few processors there are: restoring waits for the disk too. */
const leastStarts = 4;

/** Makes what every microVM's controller works with. */
export function createEngine(options: EngineOptions, { closing, changed, evict }: EngineOwner): Engine {
  const { vmm, images, logs, network, clock, logger } = options;
  const metrics = options.metrics ?? new Metrics();
  // Spare VMs give way before the processes of sleeping ones: each serves its own VM only, and costs more to miss.
  const pressure = new HostPressure({ clock, logger });
  const { capacity } = options;
  const admission = new Admission({
    async look() {
      const [memory, disk] = await Promise.all([
        pressure.hostMemory().then(withinControlGroup),
        freeDiskBytes(options.directory),
      ]);
      return {
        limits: {
          memoryBytes: capacity.memoryBudgetBytes || memory.totalBytes * budgetShare,
          memoryReserveBytes: memory.totalBytes * reserveShare,
          vcpus: capacity.cpuOvercommit * processors() || Number.POSITIVE_INFINITY,
          diskReserveBytes: capacity.diskReserveBytes,
        },
        host: {
          availableMemoryBytes: memory.availableBytes,
          freeDiskBytes: disk,
          heldBytes: pressure.heldBytes,
        },
      };
    },
    reclaim: (bytes) => pressure.reclaim(bytes),
    evict: capacity.evictIdle ? evict : undefined,
    clock,
    logger,
    metrics,
  });
  const warmPool = new WarmPool({
    policy: options.warmPool,
    make: (version, signal) => makeSpare(engine, version, signal),
    discard: (spare) => discardSpare(engine, spare),
    pressure,
    clock,
    logger,
  });
  const repository = new MicrovmRepository(options.store, options.events);
  const engine: Engine = {
    vmm,
    repository,
    images,
    logs,
    pressure,
    admission,
    warmPool,
    wakeCache: new WakeCache({ limitBytes: options.wakeCacheBytes, pressure }),
    network,
    leases: new Leases(new LeaseRepository(options.store)),
    activity: new Activity(
      new ActivitySettingsRepository(options.store),
      clock,
      defaultActivity[options.profile],
    ),
    activityJournal: new ActivityJournal(repository, logger),
    transitions: new Transitions({ clock, logger, processors: processors() }),
    starts: new StartGate(Math.max(leastStarts, 2 * processors())),
    metrics: new TransitionMetrics(metrics),
    clock,
    closing,
    logger,
    directoryOf: (microvmId) => path.join(options.directory, microvmId),
    changed,
  };
  declareMicrovmMetrics(metrics, engine);
  return engine;
}
