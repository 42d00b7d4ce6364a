import type { Realm } from '../../model/arn.ts';
import type { LogStreamDescription } from '../../telemetry/log-store.ts';
import { integer, long, optional, text } from '../shapes/shape.ts';
import type { LogsCall } from './action.ts';
import { contradictingMembers, neitherMember, noSuchLogGroup } from './logs-error.ts';

export const groupName = text({ min: 1, max: 512, pattern: '[\\.\\-_/#A-Za-z0-9]+' });

/** A group by its name, or by its name or ARN. */
export const groupMembers = {
  logGroupName: optional(groupName),
  logGroupIdentifier: optional(text({ min: 1, max: 2048, pattern: '[\\w#+=/:,.@*-]*' })),
};

export const groupPrefix = groupName;
export const streamName = text({ min: 1, max: 512, pattern: '[^:*]*' });
export const time = long({ min: 0 });
export const nextToken = optional(text({ min: 1 }));
export const listLimit = optional(integer({ min: 1, max: 50 }));
export const eventLimit = optional(integer({ min: 1, max: 10_000 }));
export const mostEvents = 10_000;
export const defaultListLimit = 50;

interface GroupInput {
  readonly logGroupName?: string;
  readonly logGroupIdentifier?: string;
}

/**
 * @throws {LogsError} for both names, or none
 */
export function groupOf({ logGroupName, logGroupIdentifier }: GroupInput): string {
  if (logGroupName !== undefined && logGroupIdentifier !== undefined) {
    throw contradictingMembers('logGroupName', 'logGroupIdentifier');
  }
  const given = logGroupName ?? logGroupIdentifier;
  if (given === undefined) throw neitherMember('logGroupName', 'logGroupIdentifier');
  return /^arn:[^:]+:logs:[^:]*:[^:]*:log-group:([^:]+)(?::\*)?$/.exec(given)?.[1] ?? given;
}

/**
 * The streams of a group that is there.
 * @throws {LogsError}
 */
export async function streamsOf(group: string, call: LogsCall): Promise<readonly LogStreamDescription[]> {
  const streams = await call.logs.describe(group);
  if (streams.length === 0 && (await call.api.services.logGroups.find(group)) === undefined) {
    throw noSuchLogGroup();
  }
  return streams;
}

/** Without the `:*` that older members of the API carry. */
export function groupArn({ region, accountId }: Realm, group: string): string {
  return `arn:aws:logs:${region}:${accountId}:log-group:${group}`;
}
