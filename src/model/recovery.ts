import type { MicrovmState } from './microvm.ts';

/** What of a microVM was found on the host when its server started anew. */
export interface Remains {
  /** Its VMM process runs and answers. */
  readonly alive: boolean;
  /** Its directory holds a complete difference, from which it can be resumed. */
  readonly asleep: boolean;
  /** It began as a fork, and so cannot be launched from its version's snapshot. */
  readonly forked: boolean;
}

/**
 * - `leave`: the stored state is true.
 * - `relaunch`: end what is left and launch again.
 * - `go-on`: take the process over and finish what the state says was under way.
 * - `finish-suspend`: the difference is complete, so the VM is asleep.
 * - `finish-termination`: remove what is left.
 * - `lose`: nothing to continue from is left.
 */
export type RecoveryStep = 'leave' | 'relaunch' | 'go-on' | 'finish-suspend' | 'finish-termination' | 'lose';

/** How to make the stored state of a microVM true after a crash at any point (design: durable before visible). */
export function recoveryStep(state: MicrovmState, { alive, asleep, forked }: Remains): RecoveryStep {
  switch (state) {
    case 'PENDING':
      if (!forked || asleep) return 'relaunch';
      return alive ? 'go-on' : 'lose';
    case 'RUNNING':
    case 'SUSPENDING':
      if (asleep) return 'finish-suspend';
      return alive ? 'go-on' : 'lose';
    case 'SUSPENDED':
      if (asleep) return 'leave';
      return alive ? 'go-on' : 'lose';
    case 'TERMINATING':
      return alive && !asleep ? 'go-on' : 'finish-termination';
    case 'TERMINATED':
      return 'leave';
  }
}
