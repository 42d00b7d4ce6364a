import { notImplemented } from '../../errors.ts';
import { defineOperation } from '../operation.ts';
import { boolean, required, structure } from '../shapes/shape.ts';

/**
 * Makes a new key for endpoint tokens. With `revoke` every token made so far is refused from now on, for all
 * microVMs; without it the old ones are good until they expire.
 */
export const rotateTokenKey = defineOperation({
  name: 'RotateTokenKey',
  method: 'POST',
  path: '/dormouse/v1/token-key/rotate',
  status: 204,
  input: structure({ revoke: required(boolean) }),
  async handle({ revoke }, { api }) {
    const { rotateTokenKey: rotate } = api.services;
    if (rotate === undefined) throw notImplemented('Rotation of the token key');
    await rotate({ revoke });
    return undefined;
  },
});
