import { imageArn, imageInput } from '../image-of-world.ts';
import { everyStep } from './every-step.ts';

everyStep({
  name: 'build a version',
  images: true,
  prepare: async () => undefined,
  act: async (world) => {
    await world.call(({ images }) => images.update(imageArn, imageInput));
    await world.imageSettles('UPDATING');
  },
});
