import { integer, required, structure } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import { changeGroup } from './kept-group.ts';
import { groupName } from './log-group.ts';
import { LogsError } from './logs-error.ts';

/** As at the service. */
const retentionDays: readonly number[] = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];

/** Streams of the group go earlier than the server's own retention would have it; never later. */
export const putRetentionPolicy = defineAction({
  name: 'PutRetentionPolicy',
  input: structure({ logGroupName: required(groupName), retentionInDays: required(integer()) }),
  async handle({ logGroupName, retentionInDays }, call) {
    if (!retentionDays.includes(retentionInDays)) {
      throw new LogsError(
        'InvalidParameterException',
        `${retentionInDays} is not a valid retention period. It has to be one of ${retentionDays.join(', ')}.`,
      );
    }
    await changeGroup(logGroupName, call, (group) => ({ ...group, retentionDays: retentionInDays }));
    return {};
  },
});

export const deleteRetentionPolicy = defineAction({
  name: 'DeleteRetentionPolicy',
  input: structure({ logGroupName: required(groupName) }),
  async handle({ logGroupName }, call) {
    await changeGroup(logGroupName, call, (group) => ({ ...group, retentionDays: null }));
    return {};
  },
});
