import { asleep, awake, idOf, type Subject } from '../scenarios.ts';
import type { World } from '../world.ts';
import { everyStep } from './every-step.ts';

async function terminate(world: World, subject: Subject | undefined): Promise<void> {
  await world.call(({ microvms }) => microvms.terminate(idOf(subject)));
  await world.reaches(idOf(subject), 'TERMINATED');
}

everyStep({ name: 'terminate a running VM', prepare: awake, act: terminate, ends: true });

everyStep({ name: 'terminate a sleeping VM', prepare: asleep, act: terminate, ends: true });
