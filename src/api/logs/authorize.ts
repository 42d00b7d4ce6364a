import type { Realm } from '../../model/arn.ts';
import { type Caller, findDenial } from '../authorization/access.ts';
import { accessDenied } from '../errors.ts';
import { groupArn, groupOf } from './log-group.ts';

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
  const arn = groupArn(realm, groupOf(input));
  return [operation === 'GetLogEvents' ? `${arn}:log-stream:${input.logStreamName}` : `${arn}:*`];
}
