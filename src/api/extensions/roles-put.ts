import { longestPolicy } from '../../model/policy-document.ts';
import { defineOperation } from '../operation.ts';
import { inPath, required, structure, text } from '../shapes/shape.ts';
import { roleName, roleToWire } from './roles.ts';

/** Gives a role a policy or replaces it; `policy` is a document as text, as IAM takes them. */
export const putRolePolicy = defineOperation({
  name: 'PutRolePolicy',
  method: 'PUT',
  path: '/dormouse/v1/roles/{roleName}',
  status: 200,
  input: structure({
    roleName: inPath(roleName),
    policy: required(text({ min: 1, max: longestPolicy })),
  }),
  async handle({ roleName: name, policy }, { api }) {
    return roleToWire(await api.services.rolePolicies.put(name, policy));
  },
});
