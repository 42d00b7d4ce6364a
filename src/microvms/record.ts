import { microvmTerminated } from '../errors.ts';
import type { ActivitySettings } from '../model/activity.ts';
import { activityStoredEveryMs, type Due, nextDue, recalledActivity } from '../model/idle.ts';
import { applyEvent, type Microvm, type MicrovmEvent, type MicrovmState } from '../model/microvm.ts';
import { step } from '../telemetry/trace.ts';
import type { VmmInstance } from '../vmm/vmm.ts';
import { despiteHost } from './despite-host.ts';
import type { Engine } from './engine.ts';

/** From when on a microVM can be idle. */
const beginsAwake: ReadonlySet<MicrovmEvent['type']> = new Set(['launched', 'resumed']);

/** What is known of one microVM: its stored state, and when it was last used. */
export class MicrovmRecord {
  readonly #engine: Engine;
  #vm: Microvm;
  #lastActivityAt: number;
  /** From when on activity has to be stored again. */
  #activityStoredUntil = 0;
  /** States that may be stored, or not: nobody has said how the attempt ended. */
  readonly #attempted = new Set<MicrovmState>();

  constructor(engine: Engine, vm: Microvm) {
    this.#engine = engine;
    this.#vm = vm;
    this.#lastActivityAt = engine.clock.now();
  }

  get vm(): Microvm {
    return this.#vm;
  }

  /** Milliseconds since the epoch. */
  get lastActivityAt(): number {
    return this.#lastActivityAt;
  }

  get ending(): boolean {
    return this.#vm.state === 'TERMINATING' || this.#vm.state === 'TERMINATED';
  }

  /** Bound, because it is handed to every connection. */
  readonly touch = (): void => {
    const now = this.#engine.clock.now();
    this.#lastActivityAt = now;
    if (now >= this.#activityStoredUntil && this.#vm.state === 'RUNNING') this.#storeActivity(now);
  };

  #storeActivity(now: number): void {
    this.#activityStoredUntil = now + activityStoredEveryMs;
    if (this.#vm.idlePolicy !== null) this.#engine.activityJournal.note(this.#vm.microvmId, now);
  }

  /** Takes up when the VM was last active, as an earlier server has stored it. */
  async recallActivity(signal: AbortSignal): Promise<void> {
    const read = () => this.#engine.repository.lastActivity(this.#vm.microvmId);
    const storedAt = await this.despiteHost(read, signal);
    this.#lastActivityAt = recalledActivity(storedAt, this.#engine.clock.now());
    this.#activityStoredUntil = storedAt + activityStoredEveryMs;
  }

  /**
   * Stores what has happened, and only then lets anyone see it.
   * @throws {IllegalTransitionError} it cannot happen in the state the VM is in
   */
  async commit(event: MicrovmEvent): Promise<void> {
    const now = this.#engine.clock.now();
    const next = applyEvent(this.#vm, event, now);
    const from = this.#vm.state;
    const lastActivityAt = beginsAwake.has(event.type) ? now : this.#lastActivityAt;
    await step(`${next.state} stored`, () => this.#store(next, { now, lastActivityAt }));
    this.#engine.logger.info(
      { microvmId: next.microvmId, from, to: next.state, reason: next.stateReason },
      event.type,
    );
    this.#vm = next;
    this.#lastActivityAt = Math.max(lastActivityAt, this.#lastActivityAt);
    this.#activityStoredUntil = lastActivityAt + activityStoredEveryMs;
    this.noteDeadline();
  }

  /** @throws {Error} the stored state is none that this record has brought about */
  async #store(
    next: Microvm,
    times: { readonly now: number; readonly lastActivityAt: number },
  ): Promise<void> {
    const from = this.#vm.state;
    const how = { ...times, attempted: this.#attempted };
    let stored: boolean;
    try {
      stored = await this.#engine.repository.transition(next, from, how);
    } catch (error) {
      this.#attempted.add(next.state);
      throw error;
    }
    if (!stored) throw new Error(`the stored state of ${next.microvmId} is not ${from}`);
    this.#attempted.clear();
  }

  /**
   * Stores what has happened already, so that it has to be stored whatever stands in the way: a full disk does not
   * undo it.
   * @throws the signal's reason, or that the server is closing
   */
  async settle(event: MicrovmEvent, signal?: AbortSignal): Promise<void> {
    await this.despiteHost(() => this.commit(event), signal);
  }

  /** See {@link despiteHost}. */
  despiteHost<Result>(work: () => Promise<Result>, signal?: AbortSignal): Promise<Result> {
    return despiteHost(this.#engine, this.#vm.microvmId, work, signal);
  }

  /** Keeps the VM awake until then. @throws {ServiceError} the VM has been terminated */
  async setLease(endsAt: number): Promise<void> {
    if (this.ending) throw microvmTerminated(this.#vm.microvmId);
    await this.#engine.leases.set(this.#vm.microvmId, endsAt);
    this.noteDeadline();
  }

  async endLease(): Promise<void> {
    await this.#engine.leases.end(this.#vm.microvmId);
    this.noteDeadline();
  }

  /** @throws {ServiceError} the VM has been terminated */
  async setActivity(settings: ActivitySettings): Promise<void> {
    if (this.ending) throw microvmTerminated(this.#vm.microvmId);
    await this.#engine.activity.set(this.#vm.microvmId, settings);
  }

  /** Counts what the VM does just now as activity, where its owner wants that. */
  async noteActivity(instance: VmmInstance | undefined): Promise<void> {
    if (instance === undefined) return;
    // A process that cannot be measured is about to be found gone.
    const busy = await this.#engine.activity.isBusy(this.#vm.microvmId, instance).catch(() => false);
    if (busy) this.touch();
  }

  /** What time asks for by now, if anything, once what the VM does is counted. */
  async whatIsDue(instance: VmmInstance | undefined): Promise<Due | undefined> {
    if (this.#pastDue() !== undefined) await this.noteActivity(instance);
    return this.#pastDue();
  }

  #pastDue(): Due | undefined {
    const { leases, clock } = this.#engine;
    const due = nextDue(this.#vm, this.#lastActivityAt, leases.endOf(this.#vm.microvmId));
    return due !== undefined && due.at <= clock.now() ? due : undefined;
  }

  /** Has the time looked at again at which something is due. */
  noteDeadline(): void {
    this.#engine.changed(this.#vm, this.#lastActivityAt);
  }

  report(error: unknown, message: string): void {
    this.#engine.logger.error({ microvmId: this.#vm.microvmId, err: error }, message);
  }
}
