import { AsyncLocalStorage } from 'node:async_hooks';

/** A step of a server: a call that reaches the file system, the store, a program or a VMM. */
export interface Step {
  /** What is done, without the directory that differs from run to run. */
  readonly name: string;
  /** Whether the world outside the process differs afterwards. */
  readonly effect: boolean;
  /** Whether the system may refuse it. */
  readonly mayFail: boolean;
}

export type Fault =
  | { readonly type: 'none' }
  /** The step is refused with this error; the server goes on. */
  | { readonly type: 'fail'; readonly at: number; readonly code: FailureCode }
  /** The server is gone at this step, as by SIGKILL: nothing after it happens. */
  | { readonly type: 'crash'; readonly at: number }
  /** Nothing can be stored until another fault, or none, takes its place. */
  | { readonly type: 'refuse'; readonly code: FailureCode }
  /** Every VMM is killed before this step; the server goes on. */
  | { readonly type: 'kill-machines'; readonly at: number; readonly kill: () => Promise<void> }
  /** The database's server is killed before this step, and no connection to it has noticed yet. */
  | { readonly type: 'kill-database'; readonly at: number; readonly kill: () => void }
  /** The first step of this name takes until then. */
  | { readonly type: 'hold'; readonly step: string; readonly until: Promise<void> };

export type FailureCode = 'EIO' | 'ENOSPC' | 'EROFS';

export class CrashedError extends Error {
  override readonly name = 'CrashedError';
}

const running = new AsyncLocalStorage<ServerProcess>();

/** Watches what a server makes durable. */
export interface DiskObserver {
  /** A sync of a file or directory begins. @returns what is called once it has succeeded */
  syncing(file: string): () => void;
  /** The metadata store has committed. */
  committed(): void;
}

/**
 * A server within the test's process. What it does to the world goes through its steps; once it has crashed none
 * of them is done or answered any more.
 */
export class ServerProcess {
  readonly #directory: string;
  readonly #crashed = Promise.withResolvers<void>();
  readonly #onCrash = new Set<() => void>();
  #fault: Fault = { type: 'none' };
  #dead = false;
  #eligible = 0;
  /** Steps counted since the fault was set. */
  readonly steps: Step[] = [];
  /** The step the fault met, once it has. */
  struck: Step | undefined;
  readonly disk: DiskObserver | undefined;

  /** @param directory left out of the names of steps */
  constructor(directory: string, disk?: DiskObserver) {
    this.#directory = directory;
    this.disk = disk;
  }

  static #whole: ServerProcess | undefined;

  static get current(): ServerProcess | undefined {
    return running.getStore() ?? ServerProcess.#whole;
  }

  /** This process is the server, all of it. */
  becomeThisProcess(): void {
    ServerProcess.#whole = this;
  }

  /** Resolves when the server has crashed. */
  get crashed(): Promise<void> {
    return this.#crashed.promise;
  }

  get dead(): boolean {
    return this.#dead;
  }

  run<Result>(work: () => Result): Result {
    return running.run(this, work);
  }

  /** Begins counting steps. */
  plan(fault: Fault): void {
    this.#fault = fault;
    this.#eligible = 0;
    this.steps.length = 0;
    this.struck = undefined;
  }

  /** Called when the server crashes, for what the kernel does for a process that ends. */
  onCrash(cleanUp: () => void): void {
    this.#onCrash.add(cleanUp);
  }

  crash(): void {
    if (this.#dead) return;
    this.#dead = true;
    for (const cleanUp of this.#onCrash) cleanUp();
    this.#crashed.resolve();
  }

  /** @param begun the step is under way when a crash comes, as a program that was started is */
  async step<Result>(step: Step, work: () => Promise<Result>, begun = false): Promise<Result> {
    const fault = this.#strikes(step);
    if (fault?.type === 'fail' || fault?.type === 'refuse') throw failure(fault.code, step.name);
    if (fault?.type === 'kill-machines') await fault.kill();
    if (fault?.type === 'kill-database') fault.kill();
    if (fault?.type === 'hold') await fault.until;
    if (fault?.type === 'crash') {
      if (begun) work().catch(() => undefined);
      this.crash();
    }
    if (this.#dead) return await withheld();
    const [result] = await Promise.allSettled([work()]);
    if (this.#dead) return await withheld();
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  }

  /**
   * As {@link step}, where an answer cannot be withheld: a dead server's call throws.
   * @param begin does what is under way when a crash comes
   */
  stepSync<Result>(
    step: Step,
    work: () => Result,
    fail: (code: FailureCode) => Error,
    begin?: () => void,
  ): Result {
    const fault = this.#strikes(step);
    if (fault?.type === 'fail' || fault?.type === 'refuse') throw fail(fault.code);
    if (fault?.type === 'kill-machines') void fault.kill();
    if (fault?.type === 'crash') {
      begin?.();
      this.crash();
    }
    if (this.#dead) throw new CrashedError('the server has crashed');
    return work();
  }

  shorten(text: string): string {
    return text.replaceAll(this.#directory, '').replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '…');
  }

  #strikes(step: Step): Fault | undefined {
    if (this.#dead || this.#fault.type === 'none') return undefined;
    if (this.#fault.type === 'refuse') return step.effect && step.mayFail ? this.#fault : undefined;
    if (this.#fault.type === 'fail' ? !step.mayFail : !step.effect) return undefined;
    this.steps.push(step);
    const index = this.#eligible++;
    const meets =
      this.#fault.type === 'hold'
        ? this.struck === undefined && step.name === this.#fault.step
        : index === this.#fault.at;
    if (!meets) return undefined;
    this.struck = step;
    return this.#fault;
  }
}

/** An answer that never comes. One for all would hold on to every server that has crashed. */
function withheld(): Promise<never> {
  return new Promise(() => undefined);
}

function failure(code: FailureCode, name: string): Error {
  return Object.assign(new Error(`${code}: injected, ${name}`), { code });
}
