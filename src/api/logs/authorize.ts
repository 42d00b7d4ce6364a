import type { Realm } from '../../model/arn.ts';
import { type Caller, findDenial } from '../authorization/access.ts';
import { accessDenied } from '../errors.ts';
import { groupArn, groupOf } from './log-group.ts';
import { taggedGroup } from './tags.ts';

/**
 * Lets a request pass only where the caller's policy allows it on the log group or stream it names.
 * @throws {ServiceError} AccessDeniedException
 * @throws {LogsError} the group is named twice or not at all
 */
export function authorizeLogs(
  operation: string,
  input: Readonly<Record<string, unknown>>,
  caller: Caller,
  realm: Realm,
): void {
  const action = `logs:${operation}`;
  const denial = findDenial(
    caller,
    resourcesOf(operation, input, realm).map((resource) => ({ action, resource })),
  );
  if (denial !== undefined) throw accessDenied(caller.principal, denial);
}

/** What is about tags names the group itself, what is about its content all below it. */
const aboutTags: ReadonlySet<string> = new Set(['TagLogGroup', 'UntagLogGroup', 'ListTagsLogGroup']);

function resourcesOf(
  operation: string,
  input: Readonly<Record<string, unknown>>,
  realm: Realm,
): readonly string[] {
  if (operation === 'DescribeLogGroups') return [groupArn(realm, '*')];
  if (Array.isArray(input.logGroupIdentifiers)) {
    return input.logGroupIdentifiers.map((logGroupIdentifier: string) =>
      groupArn(realm, groupOf({ logGroupIdentifier })),
    );
  }
  if (typeof input.resourceArn === 'string') return [groupArn(realm, taggedGroup(input.resourceArn))];
  const arn = groupArn(realm, groupOf(input));
  if (aboutTags.has(operation)) return [arn];
  return [operation === 'GetLogEvents' ? `${arn}:log-stream:${input.logStreamName}` : `${arn}:*`];
}
