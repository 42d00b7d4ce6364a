import { microvmTerminated, rollBackFailed } from '../errors.ts';
import { type GuestAgent, GuestConnectError, GuestProtocolError } from '../guest/guest-agent.ts';
import { type Microvm, terminationReasons } from '../model/microvm.ts';
import type { VmmInstance } from '../vmm/vmm.ts';
import { abortable } from './abortable.ts';
import type { Engine } from './engine.ts';
import { failureReason, wakeFailure } from './failure-reason.ts';
import { HookFailedError } from './lifecycle-hooks.ts';
import {
  captureGuest,
  discardGuest,
  goOnAwake,
  greetTerminating,
  isAsleep,
  type LiveGuest,
  launchGuest,
  reattach,
  resumeGuest,
  rollBackGuest,
  suspendGuest,
  takeOver,
} from './live-guest.ts';
import { MicrovmUnreachableError } from './microvm-service.ts';
import { wayTo } from './reachability.ts';
import { MicrovmRecord } from './record.ts';
import { whatIsLeft } from './remains.ts';
import { SerialQueue } from './serial-queue.ts';

/** A request meets at most this many changes of state before it is told so. */
const connectAttempts = 8;

/**
 * The one owner of one microVM's transitions. They run one after another; each is stored before anyone can
 * see its effect. Callers that come while one is under way wait for it and look again.
 */
export class MicrovmController {
  readonly #engine: Engine;
  readonly #queue = new SerialQueue();
  readonly #record: MicrovmRecord;
  #live: LiveGuest | undefined;
  #waking: Promise<void> | undefined;

  constructor(engine: Engine, vm: Microvm) {
    this.#engine = engine;
    this.#record = new MicrovmRecord(engine, vm);
  }

  get vm(): Microvm {
    return this.#record.vm;
  }

  get record(): MicrovmRecord {
    return this.#record;
  }

  get live(): LiveGuest | undefined {
    return this.#live;
  }

  get lastActivityAt(): number {
    return this.#record.lastActivityAt;
  }

  /** PENDING → RUNNING, or TERMINATED with the reason of the failure. */
  launch(): Promise<void> {
    return this.#queue.run(async (signal) => {
      if (this.vm.state !== 'PENDING') return;
      try {
        const launch = () => launchGuest(this.#engine, this.vm, signal);
        this.#adoptGuest(await this.#engine.metrics.measure('launch', launch, signal));
        await this.#record.settle({ type: 'launched' }, signal);
      } catch (error) {
        if (signal.aborted) return;
        await this.#fail(error, terminationReasons.launchFailed);
      }
    });
  }

  /**
   * Resolves once SUSPENDING is stored, or at once where there is nothing to do (spec section 1.6).
   * @throws {ServiceError} the VM has been terminated
   */
  async suspend(): Promise<void> {
    const begun = Promise.withResolvers<void>();
    const done = this.#queue.run(async (signal) => {
      if (this.#record.ending) throw microvmTerminated(this.vm.microvmId);
      if (this.vm.state !== 'RUNNING') return;
      await this.#suspend(signal, begun.resolve);
    });
    await Promise.race([begun.promise, done]);
    done.catch((error: unknown) => this.#record.report(error, 'suspend failed'));
  }

  /**
   * Resolves when the VM runs, however it came to.
   * @throws {ServiceError} the VM has been terminated, before or by the attempt
   */
  async resume(): Promise<void> {
    await this.#wake();
    if (this.#record.ending) throw microvmTerminated(this.vm.microvmId);
  }

  /** Resolves once TERMINATING is stored. Cuts short what is under way. */
  async terminate(reason: string): Promise<void> {
    const begun = Promise.withResolvers<void>();
    const done = this.#queue.interrupt(async () => {
      if (this.#record.ending) return;
      await this.#terminate(reason, begun.resolve);
    });
    await Promise.race([begun.promise, done]);
    done.catch((error: unknown) => this.#record.report(error, 'terminate failed'));
  }

  /**
   * Stores what the VM is at one moment, running or asleep, in each of `directories`; see {@link VmmInstance.fork}.
   * @throws {ServiceError} it has ended
   */
  capture(directories: readonly string[]): Promise<void> {
    return this.#queue.run(async () => {
      if (this.#record.ending) throw microvmTerminated(this.vm.microvmId);
      await captureGuest(this.#engine, this.vm, this.#live, directories);
    });
  }

  /** Makes the VM be what is stored in `checkpoint`; from there on it sleeps, until it is woken. */
  rollBack(checkpoint: string): Promise<void> {
    return this.#queue.run(async (signal) => {
      if (this.#record.ending) throw microvmTerminated(this.vm.microvmId);
      const live = this.#live;
      const work = () => rollBackGuest(this.#engine, this.vm, live, checkpoint, signal);
      if (live === undefined) await work();
      else if (!(await this.#putToSleep(live, signal, () => undefined, work))) throw rollBackFailed();
    });
  }

  /**
   * Uses the guest: at once when it runs, otherwise after it was waited for or woken. What happens on `touch`
   * counts as activity.
   * @throws {MicrovmUnreachableError}
   */
  async reach<Result>(
    use: (agent: GuestAgent, touch: () => void) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result> {
    for (let attempt = 0; attempt < connectAttempts; attempt += 1) {
      signal.throwIfAborted();
      const live = this.vm.state === 'RUNNING' ? this.#live : undefined;
      if (live === undefined) {
        await abortable(this.#becomeReachable(), signal);
        continue;
      }
      this.#record.touch();
      try {
        return await use(live.agent, this.#record.touch);
      } catch (error) {
        if (error instanceof GuestConnectError) {
          throw new MicrovmUnreachableError('APP_CONNECT_FAILED', error.message);
        }
        if (!(error instanceof GuestProtocolError)) throw error;
        await abortable(this.#queue.idle(), signal);
      }
    }
    throw new MicrovmUnreachableError('BAD_GATEWAY', 'the microVM changes state too often to be reached');
  }

  /** Counts what the VM does just now as activity, where its owner wants that. */
  noteActivity(): Promise<void> {
    return this.#record.noteActivity(this.#live?.instance);
  }

  /** Does what time asks for, if it still does. */
  onDeadline(): Promise<void> {
    return this.#queue.run(async (signal) => {
      const due = await this.#record.whatIsDue(this.#live?.instance);
      if (due === undefined) return this.#record.noteDeadline();
      if (due.action.type === 'suspend') return await this.#suspend(signal, () => undefined);
      await this.#terminate(due.action.reason, () => undefined);
    });
  }

  /** Brings a VM found in the store after a restart to a state that is true. */
  recover(): Promise<void> {
    return this.#queue.run(async (signal) => {
      try {
        await this.#recover(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#record.report(error, 'recovery failed');
        // What is on the disk of a sleeping VM is not given up for a failure that may pass.
        if (this.vm.state === 'SUSPENDED' && (await isAsleep(this.#engine, this.vm))) return;
        await this.#fail(error, this.vm.stateReason ?? terminationReasons.lost);
      }
    });
  }

  async #recover(signal: AbortSignal): Promise<void> {
    if (this.vm.state === 'RUNNING') await this.#record.recallActivity(signal);
    const { instance, step } = await whatIsLeft(this.#engine, this.vm, signal);
    if (instance !== undefined && step === 'go-on') return await this.#goOn(instance, signal);
    await instance?.kill();
    switch (step) {
      case 'finish-suspend':
        if (this.vm.state === 'RUNNING') await this.#record.settle({ type: 'suspend-started' });
        return await this.#record.settle({ type: 'suspend-finished' }, signal);
      case 'finish-termination':
        return await this.#finishTermination(this.vm.stateReason ?? terminationReasons.requested, undefined);
      case 'lose':
        return await this.#finishTermination(terminationReasons.lost, this.#live);
      default:
        this.#record.noteDeadline();
    }
  }

  /**
   * Takes over a process left by an earlier server, and finishes what that server was at. Nobody waits for an end or
   * a sleep that was asked for; the application hears of it again, since it may not have heard of it yet.
   */
  async #goOn(instance: VmmInstance, signal: AbortSignal): Promise<void> {
    const live = await this.#record.despiteHost(() => takeOver(this.#engine, this.vm, instance, signal));
    const { state, stateReason } = this.vm;
    if (state === 'TERMINATING')
      return this.#inBackground(() => this.#end(stateReason ?? terminationReasons.lost, live));
    this.#adoptGuest(live);
    if (state === 'PENDING') await this.#record.settle({ type: 'launched' }, signal);
    else if (state === 'SUSPENDED') await this.#record.settle({ type: 'resumed' }, signal);
    else if (state === 'SUSPENDING') this.#inBackground((later) => this.#suspend(later, () => undefined));
    else this.#record.noteDeadline();
  }

  /** Waits for the transition under way and lets go of the VM without ending it. */
  async release(): Promise<void> {
    await this.#queue.idle();
    const live = this.#live;
    this.#live = undefined;
    live?.agent.close();
    await Promise.all([live?.logs?.end(), this.#engine.activityJournal.settled()]);
  }

  #becomeReachable(): Promise<void> {
    return wayTo(this.vm) === 'wake' ? this.#wake() : this.#queue.idle();
  }

  /** One wake however many ask for it. */
  #wake(): Promise<void> {
    this.#waking ??= this.#queue
      .run(async (signal) => {
        if (this.vm.state !== 'SUSPENDED') return;
        await this.#engine.transitions.record(this.vm.microvmId, 'resume', () => this.#resume(signal));
      })
      .finally(() => {
        this.#waking = undefined;
      });
    return this.#waking;
  }

  async #resume(signal: AbortSignal): Promise<void> {
    try {
      await this.#engine.admission.admitWake(this.vm, signal);
      const resume = () => resumeGuest(this.#engine, this.vm, signal);
      this.#adoptGuest(await this.#engine.metrics.measure('resume', resume, signal));
      await this.#record.settle({ type: 'resumed' }, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof MicrovmUnreachableError) throw error;
      await this.#failResume(error);
    } finally {
      this.#engine.admission.follow(this.vm);
    }
  }

  /** A resume that never reached the guest leaves the VM asleep and whole; any other has lost it. */
  async #failResume(error: unknown): Promise<void> {
    if (!(error instanceof HookFailedError) && (await isAsleep(this.#engine, this.vm))) {
      this.#record.report(error, 'resume failed, the microVM stays suspended');
      throw wakeFailure(error);
    }
    await this.#fail(error, terminationReasons.lost);
  }

  async #suspend(signal: AbortSignal, begun: () => void): Promise<void> {
    const live = this.#live;
    if (live === undefined) return;
    const suspend = () => suspendGuest(this.#engine, this.vm, live, signal);
    const measured = () => this.#engine.metrics.measure('suspend', suspend, signal);
    let asleep = false;
    await this.#engine.transitions.record(this.vm.microvmId, 'suspend', async () => {
      asleep = await this.#putToSleep(live, signal, begun, measured);
    });
    if (asleep) await this.#engine.wakeCache.keepOrEnd(this.vm.microvmId, live.instance);
  }

  /** @param work leaves on the disk what the VM is to continue from. @returns whether it sleeps then */
  async #putToSleep(
    live: LiveGuest,
    signal: AbortSignal,
    begun: () => void,
    work: () => Promise<void>,
  ): Promise<boolean> {
    // A suspend that an earlier server began goes on.
    if (this.vm.state !== 'SUSPENDING') await this.#record.commit({ type: 'suspend-started' });
    begun();
    this.#live = undefined;
    try {
      await work();
    } catch (error) {
      if (error instanceof HookFailedError && !signal.aborted) {
        await this.#terminate(error.message, () => undefined, live);
        return false;
      }
      this.#record.report(error, 'the microVM could not be put to sleep and goes on');
      await this.#abandonSuspend(live, signal);
      return false;
    }
    await this.#record.settle({ type: 'suspend-finished' }, signal);
    return true;
  }

  async #abandonSuspend(live: LiveGuest, signal: AbortSignal): Promise<void> {
    try {
      live.agent.close();
      this.#adoptGuest(await goOnAwake(this.#engine, this.vm, live.instance, signal));
      this.#record.touch();
      await this.#record.settle({ type: 'suspend-abandoned' }, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (await isAsleep(this.#engine, this.vm)) {
        await live.instance.kill();
        return await this.#record.settle({ type: 'suspend-finished' }, signal);
      }
      await this.#fail(error, terminationReasons.lost);
    }
  }

  async #terminate(reason: string, begun: () => void, live = this.#live): Promise<void> {
    // A call that cannot be stored has failed; an end that has come must be stored.
    const requested = reason === terminationReasons.requested;
    await this.#record[requested ? 'commit' : 'settle']({ type: 'terminate-started', reason });
    begun();
    await this.#end(reason, live);
  }

  async #end(reason: string, live: LiveGuest | undefined): Promise<void> {
    if (live !== undefined) await greetTerminating(this.#engine, this.vm, live, reason);
    await this.#finishTermination(reason, live);
  }

  async #finishTermination(reason: string, live: LiveGuest | undefined): Promise<void> {
    this.#live = undefined;
    await this.#engine.metrics.measure('terminate', () => discardGuest(this.#engine, this.vm, live));
    await this.#record.settle({ type: 'terminated', reason });
    this.#engine.metrics.ended(reason);
  }

  async #fail(error: unknown, otherwise: string): Promise<void> {
    this.#record.report(error, 'the microVM failed');
    const reason = failureReason(error) ?? otherwise;
    if (!this.#record.ending) await this.#record.settle({ type: 'terminate-started', reason });
    await this.#finishTermination(reason, this.#live);
  }

  #inBackground(work: (signal: AbortSignal) => Promise<void>): void {
    this.#queue.run(work).catch((error: unknown) => this.#record.report(error, 'a transition failed'));
  }

  /** From here on the guest's own end of things is watched. */
  #adoptGuest(live: LiveGuest): void {
    this.#live = live;
    this.#engine.admission.watch(this.vm, live.instance);
    const whileCurrent = (work: (signal: AbortSignal) => Promise<void>): void => {
      if (this.#live !== live) return;
      this.#inBackground(async (signal) => (this.#live === live ? await work(signal) : undefined));
    };
    const endsBy = (reason: string): void => {
      whileCurrent(() => this.#terminate(reason, () => undefined));
    };
    live.agent.appExit().then(
      ({ code }) => endsBy(terminationReasons.containerStopped(code)),
      () => undefined,
    );
    live.instance.exited.then((exit) => {
      if (this.#live === live) this.#record.report(exit, 'the VMM process is gone');
      endsBy(terminationReasons.lost);
    });
    live.agent.closed.then(() => whileCurrent((signal) => this.#reattach(live, signal)));
  }

  /** The session broke while the VM goes on: open another, or give the VM up. */
  async #reattach(live: LiveGuest, signal: AbortSignal): Promise<void> {
    try {
      await live.logs?.end();
      this.#adoptGuest(await reattach(this.#engine, this.vm, live.instance, signal));
    } catch (error) {
      if (signal.aborted) return;
      this.#record.report(error, 'the guest agent does not answer');
      await this.#terminate(terminationReasons.lost, () => undefined);
    }
  }
}
