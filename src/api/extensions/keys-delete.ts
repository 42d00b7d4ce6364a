import { defineOperation } from '../operation.ts';
import { inPath, structure } from '../shapes/shape.ts';
import { accessKeys, keyName } from './keys.ts';

/** Ends an access key and the sessions made with it. */
export const deleteKeys = defineOperation({
  name: 'DeleteKeys',
  method: 'DELETE',
  path: '/dormouse/v1/keys/{keyName}',
  status: 204,
  input: structure({ keyName: inPath(keyName) }),
  async handle({ keyName: name }, { api }) {
    await accessKeys(api).delete(name);
    return undefined;
  },
});
