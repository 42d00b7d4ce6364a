import type { BuildRoom } from '../../src/images/build-room.ts';

/** A host on which nothing is ever short. */
export const endlessBuildRoom: BuildRoom = {
  reserve: async () => ({ settle: () => undefined, release: () => undefined }),
};
