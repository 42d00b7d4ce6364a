import { defineOperation } from '../operation.ts';
import { structure } from '../shapes/shape.ts';
import { policyToWire } from './egress-policies.ts';

/** The egress policies, sorted by name. */
export const listEgressPolicies = defineOperation({
  name: 'ListEgressPolicies',
  method: 'GET',
  path: '/dormouse/v1/egress-policies',
  status: 200,
  input: structure({}),
  async handle(_input, { api }) {
    return { policies: api.services.egressPolicies.list().map(policyToWire) };
  },
});
