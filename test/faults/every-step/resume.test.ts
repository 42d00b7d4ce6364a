import { asleep, idOf } from '../scenarios.ts';
import { everyStep } from './every-step.ts';

everyStep({
  name: 'resume',
  prepare: asleep,
  act: async (world, subject) => {
    await world.call(({ microvms }) => microvms.resume(idOf(subject)));
    await world.request(idOf(subject));
  },
});
