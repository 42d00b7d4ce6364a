import { longestPolicy } from '../../model/policy-document.ts';
import { defineOperation } from '../operation.ts';
import { required, structure, text } from '../shapes/shape.ts';
import { accessKeys, issuedKeyToWire, keyName } from './keys.ts';

/** Makes an access key that may do what its policy says; `policy` is a document as text, as IAM takes them. */
export const createKeys = defineOperation({
  name: 'CreateKeys',
  method: 'POST',
  path: '/dormouse/v1/keys',
  status: 201,
  input: structure({ keyName: required(keyName), policy: required(text({ min: 1, max: longestPolicy })) }),
  async handle({ keyName: name, policy }, { api }) {
    return issuedKeyToWire(await accessKeys(api).create(name, policy));
  },
});
