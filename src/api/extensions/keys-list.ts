import { defineOperation } from '../operation.ts';
import { structure } from '../shapes/shape.ts';
import { accessKeys, keyToWire } from './keys.ts';

/** The access keys besides the root key, without their secrets. */
export const listKeys = defineOperation({
  name: 'ListKeys',
  method: 'GET',
  path: '/dormouse/v1/keys',
  status: 200,
  input: structure({}),
  async handle(_input, { api }) {
    return { keys: (await accessKeys(api).list()).map(keyToWire) };
  },
});
