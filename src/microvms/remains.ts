import type { Microvm } from '../model/microvm.ts';
import { type RecoveryStep, recoveryStep } from '../model/recovery.ts';
import type { VmmInstance } from '../vmm/vmm.ts';
import { despiteHost } from './despite-host.ts';
import type { Engine } from './engine.ts';
import { isAsleep } from './live-guest.ts';

/** What an earlier server left of a microVM on this host, and what that asks for. */
export async function whatIsLeft(
  engine: Engine,
  vm: Microvm,
  signal: AbortSignal,
): Promise<{ readonly instance: VmmInstance | undefined; readonly step: RecoveryStep }> {
  const despite = <Result>(work: () => Promise<Result>): Promise<Result> =>
    despiteHost(engine, vm.microvmId, work, signal);
  const instance = await despite(() => engine.vmm.adopt(engine.directoryOf(vm.microvmId)));
  const asleep = await isAsleep(engine, vm);
  const { forkedFrom } = await despite(() => engine.repository.beginning(vm.microvmId));
  const found = { alive: instance !== undefined, asleep, forked: forkedFrom !== null };
  return { instance, step: recoveryStep(vm.state, found) };
}
