import type { Role } from '../../identity/roles.ts';
import { uriEncode } from '../sigv4/uri.ts';
import { element, type XmlNode } from '../xml/write.ts';

/** A role as answers have it. Documents are percent-encoded in them. */
export function roleElement(role: Role, name = 'Role'): XmlNode {
  return element(name, [
    element('Path', role.path),
    element('RoleName', role.roleName),
    element('RoleId', role.roleId),
    element('Arn', role.arn),
    element('CreateDate', isoSeconds(role.createdAt)),
    element('AssumeRolePolicyDocument', uriEncode(role.trustPolicy)),
    role.description === null ? undefined : element('Description', role.description),
    element('MaxSessionDuration', role.maximumSessionSeconds),
    Object.keys(role.tags).length === 0 ? undefined : element('Tags', tagElements(role.tags)),
  ]);
}

export function tagElements(tags: Role['tags']): XmlNode[] {
  return Object.entries(tags).map(([key, value]) =>
    element('member', [element('Key', key), element('Value', value)]),
  );
}

function isoSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+Z$/, 'Z');
}
