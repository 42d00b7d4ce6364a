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
  const denial = findDenial(caller, [
    { action: `logs:${operation}`, resource: resourceOf(operation, input, realm) },
  ]);
  if (denial !== undefined) throw accessDenied(caller.principal, denial);
}

function resourceOf(operation: string, input: Readonly<Record<string, unknown>>, realm: Realm): string {
  if (operation === 'DescribeLogGroups') return groupArn(realm, '*');
  const arn = groupArn(realm, groupOf(input));
  return operation === 'GetLogEvents' ? `${arn}:log-stream:${input.logStreamName}` : `${arn}:*`;
}
