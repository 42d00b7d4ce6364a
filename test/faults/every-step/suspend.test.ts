import { awake, idOf } from '../scenarios.ts';
import { everyStep } from './every-step.ts';

everyStep({
  name: 'suspend',
  prepare: awake,
  act: async (world, subject) => {
    await world.call(({ microvms }) => microvms.suspend(idOf(subject)));
    await world.reaches(idOf(subject), 'SUSPENDED', 'RUNNING', 'TERMINATED');
  },
});
