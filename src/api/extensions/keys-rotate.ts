import { defineOperation } from '../operation.ts';
import { inPath, structure } from '../shapes/shape.ts';
import { accessKeys, issuedKeyToWire, keyName } from './keys.ts';

/** Gives an access key a new id and secret; name and policy stay. */
export const rotateKeys = defineOperation({
  name: 'RotateKeys',
  method: 'POST',
  path: '/dormouse/v1/keys/{keyName}/rotate',
  status: 200,
  input: structure({ keyName: inPath(keyName) }),
  async handle({ keyName: name }, { api }) {
    return issuedKeyToWire(await accessKeys(api).rotate(name));
  },
});
