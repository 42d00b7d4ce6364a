import { isLive, type Microvm } from '../model/microvm.ts';

/** Whoever owns a VM's transitions. */
export interface Recoverable {
  readonly vm: Microvm;
  recover(): Promise<void>;
}

export interface RosterOptions<Controller> {
  readonly make: (vm: Microvm) => Controller;
  /** Told of the recovery of a VM that begins because somebody uses it. */
  readonly recovering: (microvmId: string, recovery: Promise<void>) => void;
}

/**
 * The live VMs and their controllers. A VM that slept while its server was away has none until somebody uses it, and
 * is recovered first then: a start takes no longer for ten thousand of them than for a few.
 */
export class Roster<Controller extends Recoverable> {
  readonly #options: RosterOptions<Controller>;
  readonly #controllers = new Map<string, Controller>();
  readonly #byEndpoint = new Map<string, Controller>();
  readonly #resting = new Map<string, Microvm>();

  constructor(options: RosterOptions<Controller>) {
    this.#options = options;
  }

  get controllers(): Iterable<Controller> {
    return this.#controllers.values();
  }

  /** What a live VM is. */
  vmOf(microvmId: string): Microvm | undefined {
    return this.#controllers.get(microvmId)?.vm ?? this.#resting.get(microvmId);
  }

  /** As {@link vmOf}, of a VM that has been used since the start. */
  vmAt(endpointId: string): Microvm | undefined {
    return this.#byEndpoint.get(endpointId)?.vm;
  }

  /** The controller of a live VM, if it has one. */
  peek(microvmId: string): Controller | undefined {
    return this.#controllers.get(microvmId);
  }

  /** The controller of a live VM that is to be used. */
  find(microvmId: string): Controller | undefined {
    const resting = this.#resting.get(microvmId);
    return resting === undefined ? this.#controllers.get(microvmId) : this.control(resting);
  }

  /** Notes a VM that sleeps, with nothing under way. */
  rest(vm: Microvm): void {
    this.#resting.set(vm.microvmId, vm);
  }

  control(vm: Microvm): Controller {
    const { microvmId } = vm;
    const existing = this.#controllers.get(microvmId);
    if (existing !== undefined) return existing;
    const controller = this.#options.make(vm);
    if (isLive(vm.state)) {
      this.#controllers.set(microvmId, controller);
      this.#byEndpoint.set(vm.endpointId, controller);
    }
    // First in its queue: whatever it is used for comes after.
    if (this.#resting.delete(microvmId)) this.#options.recovering(microvmId, controller.recover());
    return controller;
  }

  remove({ microvmId, endpointId }: Microvm): void {
    this.#controllers.delete(microvmId);
    this.#byEndpoint.delete(endpointId);
  }
}
