import { awake } from '../scenarios.ts';
import { everyStep } from './every-step.ts';

everyStep({
  name: 'launch',
  prepare: async () => undefined,
  act: async (world) => {
    await awake(world);
  },
});
