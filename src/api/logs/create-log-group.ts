import { boolean, oneOf, optional, required, structure, text } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import { groupExists, keepGroup } from './kept-group.ts';
import { groupName } from './log-group.ts';
import { LogsError } from './logs-error.ts';
import { checkTags, tagsMap } from './tags.ts';

/** Keys, other classes and protection against deletion are refused: the server has none of them. */
export const createLogGroup = defineAction({
  name: 'CreateLogGroup',
  input: structure({
    logGroupName: required(groupName),
    kmsKeyId: optional(text({ min: 0, max: 256 })),
    tags: optional(tagsMap),
    logGroupClass: optional(oneOf(['STANDARD', 'INFREQUENT_ACCESS', 'DELIVERY'])),
    deletionProtectionEnabled: optional(boolean),
  }),
  async handle(input, call) {
    const { logGroupName, kmsKeyId, tags = {}, logGroupClass = 'STANDARD' } = input;
    if (kmsKeyId !== undefined) throw unsupported('kmsKeyId');
    if (logGroupClass !== 'STANDARD') throw unsupported(`logGroupClass ${logGroupClass}`);
    if (input.deletionProtectionEnabled === true) throw unsupported('deletionProtectionEnabled');
    checkTags(tags);
    if ((await groupExists(logGroupName, call)) || !(await keepGroup(logGroupName, tags, call))) {
      throw new LogsError('ResourceAlreadyExistsException', 'The specified log group already exists');
    }
    return {};
  },
});

/** Unrecorded: the service has all of these. */
function unsupported(what: string): LogsError {
  return new LogsError('InvalidParameterException', `This server does not support ${what} of log groups.`);
}
