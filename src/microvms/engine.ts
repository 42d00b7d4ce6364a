import type { Logger } from 'pino';
import type { ImageService } from '../images/image-service.ts';
import type { Clock } from '../model/clock.ts';
import type { Microvm } from '../model/microvm.ts';
import type { GuestNetwork } from '../network/guest-network.ts';
import type { MicrovmRepository } from '../store/microvms.ts';
import type { LogStore } from '../telemetry/log-store.ts';
import type { Vmm } from '../vmm/vmm.ts';
import type { Activity } from './activity.ts';
import type { ActivityJournal } from './activity-journal.ts';
import type { Admission } from './admission.ts';
import type { HostPressure } from './host-pressure.ts';
import type { Leases } from './leases.ts';
import type { WarmPool } from './pool/warm-pool.ts';
import type { StartGate } from './start-gate.ts';
import type { TransitionMetrics } from './transition-metrics.ts';
import type { Transitions } from './transitions.ts';
import type { WakeCache } from './wake-cache.ts';

/** What every microVM's controller works with. */
export interface Engine {
  readonly vmm: Vmm;
  readonly repository: MicrovmRepository;
  readonly images: Pick<ImageService, 'getVersion' | 'runnableVersion' | 'withSnapshot'>;
  readonly logs: LogStore;
  readonly wakeCache: WakeCache;
  readonly warmPool: WarmPool;
  readonly pressure: HostPressure;
  readonly admission: Admission;
  readonly network: GuestNetwork;
  readonly leases: Leases;
  readonly activity: Activity;
  readonly activityJournal: ActivityJournal;
  readonly transitions: Transitions;
  readonly starts: StartGate;
  readonly metrics: TransitionMetrics;
  readonly clock: Clock;
  /** Aborted when the server stops: what cannot be done yet is left to the next one. */
  readonly closing: AbortSignal;
  readonly logger: Logger;
  /** The one directory that holds everything of a microVM on this host. */
  directoryOf(microvmId: string): string;
  /** Told after each transition was stored, and when a VM's deadline has to be looked at again. */
  changed(vm: Microvm, lastActivityAt: number): void;
}
