/*
 * Stands for a server that is killed.
 *
 *   node vmm-server.ts '{"options":…,"request":{"directory":…,"snapshot":…},"task":"launch"|"cycle"}'
 *
 * `launch` launches a VM, prints its process id and keeps running. `cycle` takes over the VM it finds and lets it
 * sleep and wake for ever, printing the guest's counter each time.
 */
import type { LaunchRequest } from '../../src/vmm/vmm.ts';
import { createVmm, type VmmOptions } from './create-vmm.ts';
import { hit } from './probe-guest/probe-guest.ts';

export interface Order {
  readonly options: VmmOptions;
  readonly request: LaunchRequest;
  readonly task: 'launch' | 'cycle';
}

const { options, request, task } = JSON.parse(process.argv[2] ?? '') as Order;
const vmm = await createVmm(options);
if (task === 'launch') {
  process.stdout.write(`${(await vmm.launch(request)).pid}\n`);
  setInterval(() => undefined, 60_000);
} else {
  let instance = (await vmm.adopt(request.directory)) ?? (await vmm.resume(request));
  for (;;) {
    await instance.unpause();
    const { memory, disk } = await hit(instance);
    if (memory !== disk) throw new Error(`memory counts ${memory}, disk ${disk}`);
    process.stdout.write(`${memory}\n`);
    await instance.suspend();
    instance = await vmm.resume(request);
  }
}
