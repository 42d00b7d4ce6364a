import { defineOperation } from '../operation.ts';
import { listTags as input } from '../shapes/tags.ts';
import { tagKeeper } from './tagged-resource.ts';

export const listTags = defineOperation({
  name: 'ListTags',
  method: 'GET',
  path: '/2017-03-31/tags/{Resource}',
  status: 200,
  input,
  async handle({ Resource }, call) {
    return { Tags: await tagKeeper(Resource, call, 'ListTags').tags(Resource) };
  },
});
