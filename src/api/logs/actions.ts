import type { LogsAction } from './action.ts';
import { describeLogGroups } from './describe-log-groups.ts';
import { describeLogStreams } from './describe-log-streams.ts';
import { filterLogEvents } from './filter-log-events.ts';
import { getLogEvents } from './get-log-events.ts';
import { startLiveTail } from './start-live-tail.ts';

/** What is served of CloudWatch Logs: all that reads. */
export const logsActions: readonly LogsAction[] = [
  describeLogGroups,
  describeLogStreams,
  getLogEvents,
  filterLogEvents,
  startLiveTail,
];
