import { defineOperation } from '../operation.ts';
import { untagResource as input } from '../shapes/tags.ts';
import { tagKeeper } from './tagged-resource.ts';

export const untagResource = defineOperation({
  name: 'UntagResource',
  method: 'DELETE',
  path: '/2017-03-31/tags/{Resource}',
  status: 204,
  input,
  async handle({ Resource, TagKeys }, call) {
    await tagKeeper(Resource, call, 'UntagResource').untag(Resource, TagKeys);
    return undefined;
  },
});
