import type { LogGroupSettings } from '../../store/log-groups.ts';
import { list, map, required, structure, text } from '../shapes/shape.ts';
import { defineAction, type LogsCall } from './action.ts';
import { changeGroup, groupExists } from './kept-group.ts';
import { groupName, groupOf } from './log-group.ts';
import { LogsError, noSuchLogGroup } from './logs-error.ts';

type Tags = LogGroupSettings['tags'];

const mostTags = 50;
const tagKey = text({ min: 1, max: 128 });
export const tagsMap = map(tagKey, text({ min: 0, max: 256 }), { min: 1, max: mostTags });
const keys = list(tagKey, { min: 0, max: mostTags });
const resourceArn = text({ min: 1, max: 1011, pattern: '[\\w+=/:,.@#*-]*' });

/** The tags of log groups, by ARN and in the older way by name. */
export const tagActions = [
  defineAction({
    name: 'TagResource',
    input: structure({ resourceArn: required(resourceArn), tags: required(tagsMap) }),
    handle: (input, call) => tag(taggedGroup(input.resourceArn), input.tags, call),
  }),
  defineAction({
    name: 'UntagResource',
    input: structure({ resourceArn: required(resourceArn), tagKeys: required(keys) }),
    handle: (input, call) => untag(taggedGroup(input.resourceArn), input.tagKeys, call),
  }),
  defineAction({
    name: 'ListTagsForResource',
    input: structure({ resourceArn: required(resourceArn) }),
    handle: (input, call) => tagsOf(taggedGroup(input.resourceArn), call),
  }),
  defineAction({
    name: 'TagLogGroup',
    input: structure({ logGroupName: required(groupName), tags: required(tagsMap) }),
    handle: (input, call) => tag(input.logGroupName, input.tags, call),
  }),
  defineAction({
    name: 'UntagLogGroup',
    input: structure({ logGroupName: required(groupName), tags: required(keys) }),
    handle: (input, call) => untag(input.logGroupName, input.tags, call),
  }),
  defineAction({
    name: 'ListTagsLogGroup',
    input: structure({ logGroupName: required(groupName) }),
    handle: (input, call) => tagsOf(input.logGroupName, call),
  }),
];

/** @throws {LogsError} InvalidParameterException for a key that is the service's own */
export function checkTags(tags: Tags): void {
  const reserved = Object.keys(tags).find((key) => key.startsWith('aws:'));
  if (reserved === undefined) return;
  throw new LogsError('InvalidParameterException', `The tag key ${reserved} is reserved.`);
}

/**
 * The group that an ARN names.
 * @throws {LogsError} ResourceNotFoundException for what is no log group
 */
export function taggedGroup(arn: string): string {
  const group = groupOf({ logGroupIdentifier: arn });
  if (group === arn) throw noSuchLogGroup();
  return group;
}

async function tag(name: string, tags: Tags, call: LogsCall): Promise<object> {
  checkTags(tags);
  await changeGroup(name, call, (group) => {
    const all = { ...group.tags, ...tags };
    if (Object.keys(all).length > mostTags) {
      throw new LogsError('TooManyTagsException', `A resource can have ${mostTags} tags.`);
    }
    return { ...group, tags: all };
  });
  return {};
}

async function untag(name: string, gone: readonly string[], call: LogsCall): Promise<object> {
  await changeGroup(name, call, (group) => ({
    ...group,
    tags: Object.fromEntries(Object.entries(group.tags).filter(([key]) => !gone.includes(key))),
  }));
  return {};
}

async function tagsOf(name: string, call: LogsCall): Promise<object> {
  if (!(await groupExists(name, call))) throw noSuchLogGroup();
  return { tags: (await call.api.services.logGroups.find(name))?.tags ?? {} };
}
