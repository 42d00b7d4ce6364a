import { awake, idOf } from '../scenarios.ts';
import { everyStep, holds } from './every-step.ts';

everyStep({
  name: 'fork',
  prepare: awake,
  act: async (world, subject) => {
    const children = await world.call(({ microvms }) => microvms.fork(idOf(subject), { count: 2 }));
    for (const child of children) {
      const { state } = await world.reaches(child.microvmId, 'RUNNING', 'TERMINATED');
      if (state === 'TERMINATED') continue;
      const answer = await world.request(child.microvmId);
      const counted = (subject?.answer.memory ?? 0) + 1;
      holds(answer.memory === counted, `a fork counts ${answer.memory} after its parent's ${counted - 1}`);
      holds(answer.hostname === child.microvmId, `a fork is called ${answer.hostname}`);
    }
  },
});
