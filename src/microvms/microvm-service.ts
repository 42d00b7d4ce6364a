import type { Duplex } from 'node:stream';
import type { Page, PageRequest } from '../images/image-service.ts';
import type { IdlePolicy, Logging, Microvm } from '../model/microvm.ts';

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
  readonly clientToken?: string | undefined;
}

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
  | 'NOT_FOUND';

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

  /** The VM whose endpoint host name starts with `endpointId`, terminated ones included. */
  findByEndpoint(endpointId: string): Promise<Microvm | undefined>;
  /**
   * Opens a connection to a TCP port inside the guest for the data plane. A VM that is launching, suspending
   * or asleep (with auto-resume) is waited for, and woken once however many callers wait.
   * Bytes on the returned stream count as activity.
   * @throws {MicrovmUnreachableError}
   */
  connect(microvmId: string, port: number, signal: AbortSignal): Promise<Duplex>;

  inspect(microvmId: string): Promise<MicrovmDetails>;

  /** Whether any VM that is not yet TERMINATED uses the image (or the version of it). */
  hasLive(imageArn: string, imageVersion?: string): Promise<boolean>;
  /** Re-adopts what still runs, reconciles the rest with the store, removes what belongs to nobody. */
  recover(): Promise<void>;
  /** Lets go of all VMs without ending them: they outlive the server. */
  close(): Promise<void>;
}
