import { createGvisorVmm, type GvisorVmmOptions } from '../../src/vmm/gvisor/gvisor-vmm.ts';
import { createQemuVmm, type QemuVmmOptions } from '../../src/vmm/qemu/qemu-vmm.ts';
import type { Vmm } from '../../src/vmm/vmm.ts';

/** One of the engines, in words that another process understands. */
export type VmmOptions =
  | { readonly engine: 'qemu'; readonly options: QemuVmmOptions }
  | { readonly engine: 'gvisor'; readonly options: GvisorVmmOptions };

export async function createVmm(of: VmmOptions): Promise<Vmm> {
  return of.engine === 'qemu' ? await createQemuVmm(of.options) : await createGvisorVmm(of.options);
}
