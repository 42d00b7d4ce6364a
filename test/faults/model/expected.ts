import { activityStoredEveryMs, nextDue } from '../../../src/model/idle.ts';
import { applyEvent, type Microvm, type MicrovmEvent } from '../../../src/model/microvm.ts';
import type { Answer } from '../world.ts';

/** A microVM as it should be. */
export interface Expected {
  vm: Microvm;
  lastActivityAt: number;
  /** What a server that starts finds of that. */
  activityStoredAt: number;
  leaseEndsAt: number | undefined;
  answer: Answer | undefined;
  readonly checkpoints: { readonly id: string; readonly answer: Answer | undefined }[];
}

export class Model {
  /** Of the last command's end. */
  now: number;

  readonly vms: Expected[] = [];

  constructor(now: number) {
    this.now = now;
  }

  get live(): readonly Expected[] {
    return this.vms.filter(({ vm }) => vm.state !== 'TERMINATED');
  }

  get awake(): number {
    return this.live.filter(({ vm }) => vm.state === 'RUNNING').length;
  }

  pick(index: number): Expected | undefined {
    return this.live[index % Math.max(1, this.live.length)];
  }
}

export function happen(expected: Expected, now: number, ...events: readonly MicrovmEvent[]): void {
  for (const event of events) expected.vm = applyEvent(expected.vm, event, now);
  if (expected.vm.state === 'RUNNING') expected.lastActivityAt = now;
  expected.activityStoredAt = expected.lastActivityAt;
}

/** A microVM that has just been asked for runs. */
export function launched(vm: Microvm, now: number, answer?: Answer): Expected {
  const expected = {
    vm,
    lastActivityAt: now,
    activityStoredAt: now,
    leaseEndsAt: undefined,
    answer,
    checkpoints: [],
  };
  happen(expected, now, { type: 'launched' });
  return expected;
}

export function use(expected: Expected, now: number): void {
  expected.lastActivityAt = now;
  if (now >= expected.activityStoredAt + activityStoredEveryMs) expected.activityStoredAt = now;
}

export const suspended: readonly MicrovmEvent[] = [{ type: 'suspend-started' }, { type: 'suspend-finished' }];

export function ended(reason: string): readonly MicrovmEvent[] {
  return [
    { type: 'terminate-started', reason },
    { type: 'terminated', reason },
  ];
}

/** What time does to a VM by `now`. */
export function timePasses(expected: Expected, now: number): void {
  for (;;) {
    const due = nextDue(expected.vm, expected.lastActivityAt, expected.leaseEndsAt);
    if (due === undefined || due.at > now) return;
    const events = due.action.type === 'suspend' ? suspended : ended(due.action.reason);
    happen(expected, now, ...events);
  }
}
