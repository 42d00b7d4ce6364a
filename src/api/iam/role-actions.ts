import { invalidInput } from '../../errors/iam.ts';
import { isGiven, listValues, readTags } from '../query/members.ts';
import { inQuery, optional, required, structure, text } from '../shapes/shape.ts';
import { element } from '../xml/write.ts';
import { defineAction, type IamAction } from './action.ts';
import {
  description,
  document,
  pageElements,
  pageMembers,
  path,
  roleName,
  sessionSeconds,
} from './members.ts';
import { roleElement, tagElements } from './role-elements.ts';

/** Roles themselves. */
export const roleActions: readonly IamAction[] = [
  defineAction({
    name: 'CreateRole',
    input: structure({
      RoleName: roleName,
      AssumeRolePolicyDocument: inQuery(required(document)),
      Path: inQuery(optional(path)),
      Description: inQuery(optional(description)),
      MaxSessionDuration: inQuery(optional(sessionSeconds)),
    }),
    async handle(input, { roles, form }) {
      // A boundary takes rights away, so to pass over one would give more than was meant.
      if (isGiven(form, 'PermissionsBoundary')) {
        throw invalidInput('Permissions boundaries are not supported by this server.');
      }
      const role = await roles.create({
        roleName: input.RoleName,
        path: input.Path ?? '/',
        description: input.Description ?? null,
        trustPolicy: input.AssumeRolePolicyDocument,
        maximumSessionSeconds: input.MaxSessionDuration ?? 3600,
        tags: readTags(form),
      });
      return [roleElement(role)];
    },
  }),
  defineAction({
    name: 'GetRole',
    input: structure({ RoleName: roleName }),
    handle: async ({ RoleName }, { roles }) => [roleElement(await roles.get(RoleName))],
  }),
  defineAction({
    name: 'ListRoles',
    input: structure({
      ...pageMembers,
      PathPrefix: inQuery(optional(text({ min: 1, max: 512, pattern: '/[!-~]*' }))),
    }),
    async handle(input, call) {
      const prefix = input.PathPrefix ?? '/';
      const found = (await call.roles.list()).filter((role) => role.path.startsWith(prefix));
      return await pageElements(call, { operation: 'ListRoles', filter: { prefix } }, input, found, {
        name: 'Roles',
        keyOf: (role) => role.roleName,
        element: (role) => roleElement(role, 'member'),
      });
    },
  }),
  defineAction({
    name: 'DeleteRole',
    input: structure({ RoleName: roleName }),
    async handle({ RoleName }, { roles }) {
      await roles.delete(RoleName);
      return undefined;
    },
  }),
  defineAction({
    name: 'UpdateRole',
    input: structure({
      RoleName: roleName,
      Description: inQuery(optional(description)),
      MaxSessionDuration: inQuery(optional(sessionSeconds)),
    }),
    async handle({ RoleName, Description, MaxSessionDuration }, { roles }) {
      await roles.update(RoleName, {
        ...(Description === undefined ? {} : { description: Description }),
        ...(MaxSessionDuration === undefined ? {} : { maximumSessionSeconds: MaxSessionDuration }),
      });
      return [];
    },
  }),
  defineAction({
    name: 'UpdateAssumeRolePolicy',
    input: structure({ RoleName: roleName, PolicyDocument: inQuery(required(document)) }),
    async handle({ RoleName, PolicyDocument }, { roles }) {
      await roles.setTrust(RoleName, PolicyDocument);
      return undefined;
    },
  }),
  defineAction({
    name: 'TagRole',
    input: structure({ RoleName: roleName }),
    async handle({ RoleName }, { roles, form }) {
      await roles.tag(RoleName, readTags(form));
      return undefined;
    },
  }),
  defineAction({
    name: 'UntagRole',
    input: structure({ RoleName: roleName }),
    async handle({ RoleName }, { roles, form }) {
      await roles.untag(RoleName, listValues(form, 'TagKeys'));
      return undefined;
    },
  }),
  defineAction({
    name: 'ListRoleTags',
    input: structure({ RoleName: roleName }),
    async handle({ RoleName }, { roles }) {
      const { tags } = await roles.get(RoleName);
      return [element('Tags', tagElements(tags)), element('IsTruncated', false)];
    },
  }),
  // Asked for by tools before they delete a role.
  defineAction({
    name: 'ListInstanceProfilesForRole',
    input: structure({ RoleName: roleName }),
    async handle({ RoleName }, { roles }) {
      await roles.get(RoleName);
      return [element('InstanceProfiles', []), element('IsTruncated', false)];
    },
  }),
];
