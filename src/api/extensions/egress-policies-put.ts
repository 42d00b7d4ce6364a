import { defineOperation } from '../operation.ts';
import { inPath, oneOf, optional, structure } from '../shapes/shape.ts';
import { policyName, policyRules, policyToWire } from './egress-policies.ts';

/** Makes an egress policy or replaces it; what is left out is empty, and `default` is `deny`. */
export const putEgressPolicy = defineOperation({
  name: 'PutEgressPolicy',
  method: 'PUT',
  path: '/dormouse/v1/egress-policies/{policyName}',
  status: 200,
  input: structure({
    policyName: inPath(policyName),
    allow: optional(policyRules),
    deny: optional(policyRules),
    default: optional(oneOf(['allow', 'deny'])),
  }),
  async handle({ policyName: name, allow = [], deny = [], default: otherwise = 'deny' }, { api }) {
    return policyToWire(await api.services.egressPolicies.put(name, { allow, deny, default: otherwise }));
  },
});
