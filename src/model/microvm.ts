/** The microVM as the control plane knows it, and its pure state machine (spec section 4.1). */

export const microvmStates = [
  'PENDING',
  'RUNNING',
  'SUSPENDING',
  'SUSPENDED',
  'TERMINATING',
  'TERMINATED',
] as const;
export type MicrovmState = (typeof microvmStates)[number];

/** All three members are required when a policy is given; without a policy a VM never sleeps by itself. */
export interface IdlePolicy {
  readonly maxIdleDurationSeconds: number;
  /** 0 terminates the VM at the moment it would be suspended. */
  readonly suspendedDurationSeconds: number;
  readonly autoResumeEnabled: boolean;
}

export type Logging =
  | { readonly disabled: Record<string, never> }
  | { readonly cloudWatch: { readonly logGroup?: string; readonly logStream?: string } };

export interface Microvm {
  /** `microvm-<uuid>` */
  readonly microvmId: string;
  /** First label of the endpoint's host name; a uuid different from the one in `microvmId`. */
  readonly endpointId: string;
  readonly state: MicrovmState;
  readonly stateReason: string | null;
  readonly imageArn: string;
  readonly imageVersion: string;
  readonly executionRoleArn: string | null;
  readonly idlePolicy: IdlePolicy | null;
  readonly logging: Logging | null;
  readonly maximumDurationInSeconds: number;
  readonly ingressNetworkConnectors: readonly string[];
  readonly egressNetworkConnectors: readonly string[];
  /** Baseline memory counted against quotas and admission. */
  readonly memoryMib: number;
  /** Milliseconds since the epoch, like all times here. */
  readonly startedAt: number;
  readonly suspendedAt: number | null;
  readonly terminatedAt: number | null;
}

/** What happens to a microVM. Each is recorded durably before anyone can see its effect. */
export type MicrovmEvent =
  | { readonly type: 'launched' }
  | { readonly type: 'suspend-started' }
  | { readonly type: 'suspend-finished' }
  /** The suspend did not happen and the VM is untouched. */
  | { readonly type: 'suspend-abandoned' }
  | { readonly type: 'resumed' }
  | { readonly type: 'terminate-started'; readonly reason: string }
  | { readonly type: 'terminated'; readonly reason: string };

export type MicrovmEventType = MicrovmEvent['type'];

const transitions: Readonly<Record<MicrovmState, Partial<Record<MicrovmEventType, MicrovmState>>>> = {
  PENDING: { launched: 'RUNNING', 'terminate-started': 'TERMINATING', terminated: 'TERMINATED' },
  RUNNING: {
    'suspend-started': 'SUSPENDING',
    'terminate-started': 'TERMINATING',
    terminated: 'TERMINATED',
  },
  SUSPENDING: {
    'suspend-finished': 'SUSPENDED',
    'suspend-abandoned': 'RUNNING',
    'terminate-started': 'TERMINATING',
    terminated: 'TERMINATED',
  },
  SUSPENDED: { resumed: 'RUNNING', 'terminate-started': 'TERMINATING', terminated: 'TERMINATED' },
  TERMINATING: { terminated: 'TERMINATED' },
  TERMINATED: {},
};

/** The state after `event`, or undefined where that event cannot happen. */
export function nextState(state: MicrovmState, event: MicrovmEventType): MicrovmState | undefined {
  return transitions[state][event];
}

export class IllegalTransitionError extends Error {
  override readonly name = 'IllegalTransitionError';
}

/**
 * Applies one event.
 * @param now milliseconds since the epoch
 * @throws {IllegalTransitionError} the event cannot happen in the VM's state
 */
export function applyEvent(vm: Microvm, event: MicrovmEvent, now: number): Microvm {
  const state = nextState(vm.state, event.type);
  if (state === undefined) {
    throw new IllegalTransitionError(`${vm.microvmId} is ${vm.state}: ${event.type} cannot happen`);
  }
  switch (event.type) {
    case 'suspend-finished':
      return { ...vm, state, suspendedAt: now };
    case 'resumed':
      return { ...vm, state, suspendedAt: null };
    case 'terminate-started':
      return { ...vm, state, stateReason: event.reason };
    case 'terminated':
      return { ...vm, state, stateReason: event.reason, suspendedAt: null, terminatedAt: now };
    case 'launched':
    case 'suspend-started':
    case 'suspend-abandoned':
      return { ...vm, state };
  }
}

export function isLive(state: MicrovmState): boolean {
  return state !== 'TERMINATED';
}

/** `stateReason` texts of terminated VMs (spec section 4.3a). */
export const terminationReasons = {
  requested: 'Success.',
  /** Also reported when the suspended duration has passed. */
  lifetime: 'MicroVM exceeded maximum lifetime.',
  containerStopped: (code: number): string => `Container Stopped with Exit Code: ${code}`,
  hookStatus: (hook: HookName, status: number): string =>
    `${hook} lifecycle hook returned HTTP status ${status}. Please check your hook endpoint and application logs for more details.`,
  hookRefused: (hook: HookName): string => `${hook} lifecycle hook connection was refused`,
  hookTimedOut: (hook: HookName): string => `${hook} lifecycle hook timed out`,
  /** Unrecorded: the VM was lost with its VMM process or its files. */
  lost: 'The MicroVM stopped unexpectedly.',
  /** Unrecorded: the launch failed before the application could be reached. */
  launchFailed: 'The MicroVM could not be launched.',
  /** Unrecorded: the version is marked, and says more. */
  damaged: 'The MicroVM could not be launched: the snapshot of its image version is damaged.',
  /** Unrecorded: the snapshot needs another machine, VMM or agent; `difference` says which. */
  outdated: (difference: string): string =>
    `The MicroVM could not be launched: ${difference}. Update the image, so that a new version is built here.`,
} as const;

export type HookName = 'Run' | 'Resume' | 'Suspend' | 'Terminate';

/** Kinds of ends of microVMs: what a fleet is watched for. */
export const endCauses = ['requested', 'lifetime', 'exited', 'hook_failed', 'launch_failed', 'lost'] as const;
export type EndCause = (typeof endCauses)[number];

/** Why a microVM ended, by its `stateReason`. */
export function endCauseOf(reason: string): EndCause {
  if (reason === terminationReasons.requested) return 'requested';
  if (reason === terminationReasons.lifetime) return 'lifetime';
  if (reason === terminationReasons.lost) return 'lost';
  if (reason.startsWith('Container Stopped ')) return 'exited';
  return / lifecycle hook /.test(reason) ? 'hook_failed' : 'launch_failed';
}
