import type { LogsAction } from './action.ts';
import { createLogGroup } from './create-log-group.ts';
import { deleteLogGroup } from './delete-log-group.ts';
import { describeLogGroups } from './describe-log-groups.ts';
import { describeLogStreams } from './describe-log-streams.ts';
import { filterLogEvents } from './filter-log-events.ts';
import { getLogEvents } from './get-log-events.ts';
import { deleteRetentionPolicy, putRetentionPolicy } from './retention-policy.ts';
import { startLiveTail } from './start-live-tail.ts';
import { tagActions } from './tags.ts';

/** What is served of CloudWatch Logs: all that reads, and what is set on groups. Only microVMs and builds write. */
export const logsActions: readonly LogsAction[] = [
  describeLogGroups,
  describeLogStreams,
  getLogEvents,
  filterLogEvents,
  startLiveTail,
  createLogGroup,
  deleteLogGroup,
  putRetentionPolicy,
  deleteRetentionPolicy,
  ...tagActions,
];
