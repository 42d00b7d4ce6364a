import { defineOperation } from '../operation.ts';
import { identifier } from '../shapes/common.ts';
import { inPath, integer, required, structure } from '../shapes/shape.ts';
import { toSeconds } from '../wire/time.ts';

/** Keeps a microVM from falling asleep by itself for so many seconds from now; replaces an earlier lease. */
export const setLease = defineOperation({
  name: 'SetLease',
  method: 'PUT',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/lease',
  status: 200,
  input: structure({
    microvmIdentifier: inPath(identifier),
    seconds: required(integer({ min: 1, max: 'maximumLifetimeSeconds' })),
  }),
  async handle({ microvmIdentifier, seconds }, { api }) {
    return { endsAt: toSeconds(await api.services.microvms.setLease(microvmIdentifier, seconds)) };
  },
});
