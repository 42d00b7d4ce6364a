import { required, structure } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import { groupName } from './log-group.ts';
import { noSuchLogGroup } from './logs-error.ts';

/** Removes a group with all that was written to it; the next line of a microVM makes it anew. */
export const deleteLogGroup = defineAction({
  name: 'DeleteLogGroup',
  input: structure({ logGroupName: required(groupName) }),
  async handle({ logGroupName }, { api, logs }) {
    const streams = await logs.streams(logGroupName);
    await logs.removeGroup(logGroupName);
    const removed = await api.services.logGroups.remove(logGroupName);
    if (!removed && streams.length === 0) throw noSuchLogGroup();
    return {};
  },
});
