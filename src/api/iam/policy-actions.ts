import { noSuchRolePolicy } from '../../errors/iam.ts';
import { managedPolicyName } from '../../identity/managed-policies.ts';
import { inQuery, required, structure } from '../shapes/shape.ts';
import { uriEncode } from '../sigv4/uri.ts';
import { element } from '../xml/write.ts';
import { defineAction, type IamAction } from './action.ts';
import { document, pageElements, pageMembers, policyArn, policyName, roleName } from './members.ts';

/** What roles may do: policies of their own, and attached ones. */
export const policyActions: readonly IamAction[] = [
  defineAction({
    name: 'PutRolePolicy',
    input: structure({
      RoleName: roleName,
      PolicyName: policyName,
      PolicyDocument: inQuery(required(document)),
    }),
    async handle({ RoleName, PolicyName, PolicyDocument }, { roles }) {
      await roles.putPolicy(RoleName, PolicyName, PolicyDocument);
      return undefined;
    },
  }),
  defineAction({
    name: 'GetRolePolicy',
    input: structure({ RoleName: roleName, PolicyName: policyName }),
    async handle({ RoleName, PolicyName }, { roles }) {
      const { inlinePolicies } = await roles.get(RoleName);
      const found = Object.hasOwn(inlinePolicies, PolicyName) ? inlinePolicies[PolicyName] : undefined;
      if (found === undefined) throw noSuchRolePolicy(PolicyName);
      return [
        element('RoleName', RoleName),
        element('PolicyName', PolicyName),
        element('PolicyDocument', uriEncode(found)),
      ];
    },
  }),
  defineAction({
    name: 'DeleteRolePolicy',
    input: structure({ RoleName: roleName, PolicyName: policyName }),
    async handle({ RoleName, PolicyName }, { roles }) {
      await roles.deletePolicy(RoleName, PolicyName);
      return undefined;
    },
  }),
  defineAction({
    name: 'ListRolePolicies',
    input: structure({ RoleName: roleName, ...pageMembers }),
    async handle(input, call) {
      const { inlinePolicies } = await call.roles.get(input.RoleName);
      const scope = { operation: 'ListRolePolicies', filter: { role: input.RoleName } };
      return await pageElements(call, scope, input, Object.keys(inlinePolicies).sort(), {
        name: 'PolicyNames',
        keyOf: (name) => name,
        element: (name) => element('member', name),
      });
    },
  }),
  defineAction({
    name: 'AttachRolePolicy',
    input: structure({ RoleName: roleName, PolicyArn: policyArn }),
    async handle({ RoleName, PolicyArn }, { roles }) {
      await roles.attach(RoleName, PolicyArn);
      return undefined;
    },
  }),
  defineAction({
    name: 'DetachRolePolicy',
    input: structure({ RoleName: roleName, PolicyArn: policyArn }),
    async handle({ RoleName, PolicyArn }, { roles }) {
      await roles.detach(RoleName, PolicyArn);
      return undefined;
    },
  }),
  defineAction({
    name: 'ListAttachedRolePolicies',
    input: structure({ RoleName: roleName, ...pageMembers }),
    async handle(input, call) {
      const { attachedPolicies } = await call.roles.get(input.RoleName);
      const scope = { operation: 'ListAttachedRolePolicies', filter: { role: input.RoleName } };
      return await pageElements(call, scope, input, attachedPolicies.toSorted(), {
        name: 'AttachedPolicies',
        keyOf: (arn) => arn,
        element: (arn) =>
          element('member', [element('PolicyName', managedPolicyName(arn)), element('PolicyArn', arn)]),
      });
    },
  }),
];
