import { defineOperation } from '../operation.ts';
import { inPath, structure } from '../shapes/shape.ts';
import { policyName, policyToWire } from './egress-policies.ts';

/** One egress policy. */
export const getEgressPolicy = defineOperation({
  name: 'GetEgressPolicy',
  method: 'GET',
  path: '/dormouse/v1/egress-policies/{policyName}',
  status: 200,
  input: structure({ policyName: inPath(policyName) }),
  async handle({ policyName: name }, { api }) {
    return policyToWire(api.services.egressPolicies.get(name));
  },
});
