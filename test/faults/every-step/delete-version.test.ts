import assert from 'node:assert/strict';
import { imageArn, imageInput } from '../image-of-world.ts';
import { everyStep } from './every-step.ts';

everyStep({
  name: 'delete a version',
  images: true,
  prepare: async (world) => {
    await world.call(({ images }) => images.update(imageArn, imageInput));
    await world.imageSettles('UPDATING');
    return undefined;
  },
  act: async (world) => {
    const page = { limit: 50, after: undefined };
    const { items } = await world.call(({ images }) => images.listVersions(imageArn, page));
    const newest = items[0];
    assert.ok(newest && newest.imageVersion !== '1.0');
    await world.call(({ images }) => images.deleteVersion(imageArn, newest.imageVersion));
    await world.imageSettles('UPDATING');
  },
});
