import { awake, idOf } from '../scenarios.ts';
import { everyStep, holds } from './every-step.ts';

everyStep({
  name: 'sleep with a process that is kept, and wake',
  options: { wakeCacheBytes: 2 ** 40 },
  prepare: awake,
  act: async (world, subject) => {
    const microvmId = idOf(subject);
    await world.call(({ microvms }) => microvms.suspend(microvmId));
    await world.reaches(microvmId, 'SUSPENDED', 'RUNNING');
    const { memory } = await world.request(microvmId);
    const counted = (subject?.answer.memory ?? 0) + 1;
    holds(memory === counted, `counts ${memory} after ${counted - 1}`);
  },
});
