import type { Microvm } from '../model/microvm.ts';
import type { Vmm } from '../vmm/vmm.ts';
import type { Recoverable, Roster } from './roster.ts';

/** Directories looked at at the same time; the rest of a look is the disk's. */
const lookWidth = 32;
/** VMs brought back at the same time. */
const recoveryWidth = 4;

export interface RecoveryOptions<Controller extends Recoverable> {
  readonly vmm: Pick<Vmm, 'isAtRest'>;
  readonly roster: Roster<Controller>;
  readonly directoryOf: (microvmId: string) => string;
  /** Told of each VM that sleeps and is left alone, so that time is looked at for it. */
  readonly resting: (vm: Microvm) => void;
  /** Told of each other VM, once its state is true. */
  readonly recovered: (controller: Controller) => void;
}

/**
 * Makes the states of VMs found in the store true after a restart. Those asleep with nothing to settle, as almost all
 * of many are, cost one look at a directory each.
 */
export async function recoverMicrovms<Controller extends Recoverable>(
  vms: readonly Microvm[],
  options: RecoveryOptions<Controller>,
): Promise<void> {
  const { vmm, roster, directoryOf } = options;
  const unsettled: Microvm[] = [];
  await inParallel(vms, lookWidth, async (vm) => {
    // What cannot be looked at now is looked at closely.
    const look = (): Promise<boolean> => vmm.isAtRest(directoryOf(vm.microvmId)).catch(() => false);
    if (vm.state !== 'SUSPENDED' || !(await look())) {
      unsettled.push(vm);
      return;
    }
    roster.rest(vm);
    options.resting(vm);
  });
  await inParallel(unsettled, recoveryWidth, async (vm) => {
    const controller = roster.control(vm);
    await controller.recover();
    options.recovered(controller);
  });
}

async function inParallel<Item>(
  items: readonly Item[],
  width: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  const worker = async (): Promise<void> => {
    for (const item of waiting) await work(item);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
