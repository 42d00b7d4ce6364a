import { ServiceError } from '../../errors.ts';
import type { Permissions } from '../../model/policy.ts';
import { findDenial } from '../authorization/access.ts';
import { accessDenied } from '../errors.ts';
import type { RolePolicyService } from '../role-policy-service.ts';
import { roleArn } from '../shapes/common.ts';
import {
  type Infer,
  inQuery,
  integer,
  type Members,
  optional,
  required,
  type StructureShape,
  structure,
  text,
} from '../shapes/shape.ts';
import type { Principal, SessionOrigin } from '../sigv4/credentials.ts';
import { element, type XmlNode } from '../xml/write.ts';
import { assumedRole } from './assumed-role.ts';
import type { SessionCredentials, Sessions } from './sessions.ts';

export interface StsCall {
  readonly principal: Principal;
  readonly permissions: Permissions;
  /** What is behind the caller. */
  readonly origin: SessionOrigin;
  readonly roles: Pick<RolePolicyService, 'find'>;
  /** Whether the caller itself uses temporary credentials. */
  readonly temporary: boolean;
  readonly sessions: Sessions;
  /** Epoch milliseconds. */
  readonly now: number;
}

export interface StsAction {
  readonly name: string;
  readonly members: Members;
  /** Children of the result element. */
  run(input: object, call: StsCall): Promise<XmlNode[]>;
}

function defineAction<const M extends Members>(definition: {
  readonly name: string;
  readonly input: StructureShape<M>;
  handle(input: Infer<StructureShape<M>>, call: StsCall): XmlNode[] | Promise<XmlNode[]>;
}): StsAction {
  const { name, input, handle } = definition;
  return {
    name,
    members: input.members,
    run: async (checked, call) => await handle(checked as Infer<StructureShape<M>>, call),
  };
}

const getCallerIdentity = defineAction({
  name: 'GetCallerIdentity',
  input: structure({}),
  handle: (_input, { principal }) => [
    element('Arn', principal.arn),
    element('UserId', principal.userId),
    element('Account', principal.accountId),
  ],
});

const getSessionToken = defineAction({
  name: 'GetSessionToken',
  input: structure({ DurationSeconds: inQuery(optional(integer({ min: 900, max: 129_600 }))) }),
  handle({ DurationSeconds = 43_200 }, call) {
    if (call.temporary) {
      throw new ServiceError('AccessDeniedException', 'Cannot call GetSessionToken with session credentials');
    }
    return [
      credentialsElement(call.sessions.issue(call.principal, call.origin, call.now + DurationSeconds * 1000)),
    ];
  },
});

/**
 * Any role of the account can be assumed by who may do that. The session may do what the role's policy says, or
 * without one what its caller may; either way it ends with the access key that is behind it.
 */
const assumeRole = defineAction({
  name: 'AssumeRole',
  input: structure({
    RoleArn: inQuery(required(roleArn)),
    RoleSessionName: inQuery(required(text({ min: 2, max: 64, pattern: '[\\w+=,.@-]*' }))),
    DurationSeconds: inQuery(optional(integer({ min: 900, max: 43_200 }))),
  }),
  async handle({ RoleArn, RoleSessionName, DurationSeconds = 3600 }, call) {
    const { principal } = call;
    if (RoleArn.split(':')[4] !== principal.accountId) {
      throw new ServiceError(
        'AccessDeniedException',
        `User: ${principal.arn} is not authorized to perform: sts:AssumeRole on resource: ${RoleArn}`,
      );
    }
    const denial = findDenial(call, [{ action: 'sts:AssumeRole', resource: RoleArn }]);
    if (denial !== undefined) throw accessDenied(principal, denial);
    const assumed = assumedRole(RoleArn, RoleSessionName);
    const hasPolicy = (await call.roles.find(RoleArn)) !== undefined;
    const origin = hasPolicy ? { ...call.origin, role: RoleArn } : call.origin;
    return [
      element('AssumedRoleUser', [element('AssumedRoleId', assumed.userId), element('Arn', assumed.arn)]),
      credentialsElement(call.sessions.issue(assumed, origin, call.now + DurationSeconds * 1000)),
    ];
  },
});

export const stsActions: readonly StsAction[] = [getCallerIdentity, getSessionToken, assumeRole];

function credentialsElement(credentials: SessionCredentials): XmlNode {
  return element('Credentials', [
    element('AccessKeyId', credentials.accessKeyId),
    element('SecretAccessKey', credentials.secretAccessKey),
    element('SessionToken', credentials.sessionToken),
    element('Expiration', new Date(credentials.expiresAt).toISOString()),
  ]);
}
