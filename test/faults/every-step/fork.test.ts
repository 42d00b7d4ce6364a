import assert from 'node:assert/strict';
import { awake, idOf } from '../scenarios.ts';
import { everyStep } from './every-step.ts';

everyStep({
  name: 'fork',
  prepare: awake,
  act: async (world, subject) => {
    const children = await world.call(({ microvms }) => microvms.fork(idOf(subject), { count: 2 }));
    for (const child of children) {
      const { state } = await world.reaches(child.microvmId, 'RUNNING', 'TERMINATED');
      if (state === 'TERMINATED') continue;
      const answer = await world.request(child.microvmId);
      assert.equal(answer.memory, (subject?.answer.memory ?? 0) + 1, 'a fork goes on from its parent');
      assert.equal(answer.hostname, child.microvmId);
    }
  },
});
