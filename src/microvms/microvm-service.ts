import type { Duplex } from 'node:stream';
import type { ExecSession, ExecSpec } from '../guest/guest-agent.ts';
import type { BuildRoom } from '../images/build-room.ts';
import type { ActivitySettings } from '../model/activity.ts';
import type { ClientToken } from '../model/client-token.ts';
import type { DatagramChannel, DatagramListener } from '../model/datagrams.ts';
import type { IdlePolicy, Logging, Microvm } from '../model/microvm.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { CheckpointService } from './checkpoint-service.ts';
import type { LatestTraces } from './transitions.ts';
import type { MicrovmUsage } from './usage-history.ts';

export interface RunInput {
  readonly imageIdentifier: string;
  readonly imageVersion?: string | undefined;
  readonly ingressNetworkConnectors?: readonly string[] | undefined;
  readonly egressNetworkConnectors?: readonly string[] | undefined;
  readonly executionRoleArn?: string | undefined;
  readonly idlePolicy?: IdlePolicy | undefined;
  readonly logging?: Logging | undefined;
  readonly runHookPayload?: string | undefined;
  readonly maximumDurationInSeconds?: number | undefined;
  readonly clientToken?: ClientToken | undefined;
}

export interface ForkInput {
  /** New microVMs to make, 1 to {@link mostForks}. */
  readonly count: number;
  readonly runHookPayload?: string | undefined;
}

/** Forks one call can make. */
export const mostForks = 100;

export interface MicrovmFilter {
  readonly imageArn?: string | undefined;
  readonly imageVersion?: string | undefined;
}

/** Why the endpoint could not reach a port; `code` is the value of `x-aws-proxy-error` (spec section 5.5). */
export type UnreachableCode =
  | 'APP_CONNECT_FAILED'
  | 'MICROVM_CONNECT_FAILED'
  | 'MICROVM_SUSPENDED'
  | 'BAD_GATEWAY'
  | 'NOT_FOUND'
  /** Ours: the host has no room for one more that is awake. */
  | 'INSUFFICIENT_CAPACITY'
  /** Ours: what the VM is to continue from is damaged, or needs another server; it stays asleep. */
  | 'SNAPSHOT_DAMAGED'
  | 'SNAPSHOT_OUTDATED';

export class MicrovmUnreachableError extends Error {
  override readonly name = 'MicrovmUnreachableError';
  readonly code: UnreachableCode;

  constructor(code: UnreachableCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What the host knows about a microVM beyond the service's own description; an extension. */
export interface MicrovmDetails {
  readonly microvm: Microvm;
  /** Process id of the VMM; null while there is none. */
  readonly vmmPid: number | null;
  readonly residentBytes: number | null;
  readonly proportionalBytes: number | null;
  readonly cpuSeconds: number | null;
  /** Space the VM takes on the host's disk. */
  readonly diskBytes: number;
  readonly lastActivityAt: number | null;
  /** When the lease that keeps the VM awake ends, milliseconds since the epoch. */
  readonly leaseEndsAt: number | null;
  readonly activity: ActivitySettings;
  /** Where the time of its latest transitions went, as far as this server made them. */
  readonly traces: LatestTraces;
}

/**
 * The life of microVMs. Methods throw {@link ServiceError} with the recorded texts (spec sections 1.5, 1.6).
 * Calls that meet a transition under way wait for it; they never fail for having come at the wrong moment.
 */
export interface MicrovmService {
  /** Records the VM and returns it in PENDING; the launch goes on in the background. */
  run(input: RunInput): Promise<Microvm>;
  get(microvmId: string): Promise<Microvm>;
  list(page: PageRequest, filter: MicrovmFilter): Promise<Page<Microvm>>;
  /** Resolve once the new state is under way (suspend, terminate) or reached (resume). */
  suspend(microvmId: string): Promise<void>;
  resume(microvmId: string): Promise<void>;
  terminate(microvmId: string): Promise<void>;

  /**
   * Makes new VMs that continue from what this one is now: memory, disk, processes. An extension. A sleeping VM
   * is woken first. The new ones have their own identity and endpoint and get the `/run` hook; this one pauses
   * for a moment and keeps its connections.
   * @returns the new VMs in PENDING; their launch goes on in the background
   */
  fork(microvmId: string, input: ForkInput): Promise<readonly Microvm[]>;

  /** What VMs were at certain moments; an extension. */
  readonly checkpoints: CheckpointService;
  /** Of the same host, for the VMs of builds. */
  readonly buildRoom: BuildRoom;

  /** The VM whose endpoint host name starts with `endpointId`, terminated ones included; at once if it is known. */
  findByEndpoint(endpointId: string): Microvm | Promise<Microvm | undefined>;
  /**
   * Opens a connection to a TCP port inside the guest for the data plane. A VM that is launching, suspending
   * or asleep (with auto-resume) is waited for, and woken once however many callers wait.
   * Bytes on the returned stream count as activity.
   * @throws {MicrovmUnreachableError}
   */
  connect(microvmId: string, port: number, signal: AbortSignal): Promise<Duplex>;

  /**
   * Exchanges datagrams with a UDP port inside the guest; waits, wakes and counts as activity as {@link connect}
   * does. The channel closes when the VM goes to sleep.
   * @throws {MicrovmUnreachableError}
   */
  associate(
    microvmId: string,
    port: number,
    onDatagram: DatagramListener,
    signal: AbortSignal,
  ): Promise<DatagramChannel>;

  /**
   * Runs a process in the application's container for the data plane; waits and wakes as {@link connect} does.
   * @throws {MicrovmUnreachableError} the VM cannot be reached, or has no shell ingress
   * @throws an error with an errno `code`: the guest cannot run it
   */
  exec(microvmId: string, spec: ExecSpec, signal: AbortSignal): Promise<ExecSession>;

  /**
   * Keeps a VM from falling asleep by itself for so long from now; replaces an earlier lease. An extension.
   * @returns when it ends, milliseconds since the epoch
   */
  setLease(microvmId: string, seconds: number): Promise<number>;
  /** Ends the lease, if there is one. */
  endLease(microvmId: string): Promise<void>;
  /** Says what keeps a VM awake besides bytes across its endpoint; its forks inherit it. An extension. */
  /** Counts a request that begins (1) or is over (-1). */
  countRequest(microvmId: string, by: 1 | -1): void;
  setActivity(microvmId: string, settings: ActivitySettings): Promise<void>;

  inspect(microvmId: string): Promise<MicrovmDetails>;
  /** What those use that have a process. */
  usages(): Promise<readonly MicrovmUsage[]>;

  /** Whether any VM that is not yet TERMINATED uses the image (or the version of it). */
  hasLive(imageArn: string, imageVersion?: string): Promise<boolean>;
  /** Gives up what is kept ready for launches of an image, or of one version of it. */
  withdraw(imageArn: string, imageVersion?: string): Promise<void>;
  /** Re-adopts what still runs, reconciles the rest with the store, removes what belongs to nobody. */
  recover(): Promise<void>;
  /** Lets go of all VMs without ending them: they outlive the server. */
  close(): Promise<void>;
}
