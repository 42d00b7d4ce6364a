import { defineOperation } from '../operation.ts';
import { tagResource as input } from '../shapes/tags.ts';
import { tagKeeper } from './tagged-resource.ts';

export const tagResource = defineOperation({
  name: 'TagResource',
  method: 'POST',
  path: '/2017-03-31/tags/{Resource}',
  status: 204,
  input,
  async handle({ Resource, Tags }, call) {
    await tagKeeper(Resource, call, 'TagResource').tag(Resource, Tags);
    return undefined;
  },
});
