import path from 'node:path';
import type { Logger } from 'pino';
import type { ImageService } from '../images/image-service.ts';
import type { Clock } from '../model/clock.ts';
import type { WarmPoolPolicy } from '../model/warm-pool.ts';
import type { GuestNetwork } from '../network/guest-network.ts';
import type { Store } from '../store/database.ts';
import type { EventLog } from '../store/event-log.ts';
import { LeaseRepository } from '../store/leases.ts';
import { MicrovmRepository } from '../store/microvms.ts';
import type { LogStore } from '../telemetry/log-store.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { Vmm } from '../vmm/vmm.ts';
import type { Engine } from './engine.ts';
import { HostPressure } from './host-pressure.ts';
import { Leases } from './leases.ts';
import { discardSpare, makeSpare } from './pool/spare.ts';
import { WarmPool } from './pool/warm-pool.ts';
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
  readonly clock: Clock;
  readonly logger: Logger;
  /** Holds one directory per microVM. */
  readonly directory: string;
  /** Memory for paused processes of sleeping VMs; 0 keeps none. */
  readonly wakeCacheBytes: number;
  /** VMs kept ready for launches. */
  readonly warmPool: WarmPoolPolicy;
}

/** Makes what every microVM's controller works with. */
export function createEngine(options: EngineOptions, changed: Engine['changed']): Engine {
  const { vmm, images, logs, network, clock, logger } = options;
  const metrics = options.metrics ?? new Metrics();
  // Spare VMs give way before the processes of sleeping ones: each serves its own VM only, and costs more to miss.
  const pressure = new HostPressure({ clock, logger });
  const warmPool = new WarmPool({
    policy: options.warmPool,
    make: (version, signal) => makeSpare(engine, version, signal),
    discard: (spare) => discardSpare(engine, spare),
    pressure,
    clock,
    logger,
  });
  const engine: Engine = {
    vmm,
    repository: new MicrovmRepository(options.store, options.events),
    images,
    logs,
    pressure,
    warmPool,
    wakeCache: new WakeCache({ limitBytes: options.wakeCacheBytes, pressure }),
    network,
    leases: new Leases(new LeaseRepository(options.store)),
    transitions: new Transitions(clock, logger),
    metrics: new TransitionMetrics(metrics),
    clock,
    logger,
    directoryOf: (microvmId) => path.join(options.directory, microvmId),
    changed,
  };
  declareMicrovmMetrics(metrics, engine);
  return engine;
}
