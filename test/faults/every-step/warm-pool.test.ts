import { until } from '../../support/until.ts';
import { figure } from '../invariants.ts';
import { awake } from '../scenarios.ts';
import { everyStep, holds } from './every-step.ts';

everyStep({
  name: 'launch from the warm pool',
  options: { warmPool: { kind: 'fixed', count: 1 } },
  prepare: async (world) => {
    const subject = await awake(world);
    await until('a VM is kept ready', async () => (await figure(world, 'warm_pool_microvms')) === 1);
    return subject;
  },
  act: async (world) => {
    const { vm, answer } = await awake(world);
    holds(answer.hostname === vm.microvmId, `it is called ${answer.hostname}`);
    holds(
      answer.memory === 1 && answer.runs === 1,
      `it counts ${answer.memory}, and has heard ${answer.runs} /run`,
    );
  },
});
