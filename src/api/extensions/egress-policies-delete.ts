import { defineOperation } from '../operation.ts';
import { inPath, structure } from '../shapes/shape.ts';
import { policyName } from './egress-policies.ts';

/** Removes an egress policy that no connector refers to. */
export const deleteEgressPolicy = defineOperation({
  name: 'DeleteEgressPolicy',
  method: 'DELETE',
  path: '/dormouse/v1/egress-policies/{policyName}',
  status: 204,
  input: structure({ policyName: inPath(policyName) }),
  async handle({ policyName: name }, { api }) {
    await api.services.egressPolicies.delete(name);
    return undefined;
  },
});
