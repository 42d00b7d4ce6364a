/*
 * Stands for a server that is killed: launches one VM and keeps running until somebody ends it.
 *
 *   node vmm-server.ts '{"options":…,"request":{"directory":…,"snapshot":…}}'
 */
import { createQemuVmm, type QemuVmmOptions } from '../../src/vmm/qemu/qemu-vmm.ts';
import type { LaunchRequest } from '../../src/vmm/vmm.ts';

interface Order {
  readonly options: QemuVmmOptions;
  readonly request: LaunchRequest;
}

const { options, request } = JSON.parse(process.argv[2] ?? '') as Order;
const vmm = await createQemuVmm(options);
const instance = await vmm.launch(request);
setInterval(() => undefined, 60_000);
console.log(instance.pid);
