import type { LogGroupSettings } from '../../store/log-groups.ts';
import type { LogsCall } from './action.ts';
import { LogsError, noSuchLogGroup } from './logs-error.ts';

/** Groups that somebody has made or set something on. */
const mostGroups = 10_000;

/** Whether a group is there: made by somebody, or written to. */
export async function groupExists(name: string, { api, logs }: LogsCall): Promise<boolean> {
  return (await api.services.logGroups.find(name)) !== undefined || (await logs.streams(name)).length > 0;
}

/** Makes a row for a group, where there is none. Says whether there was none. */
export async function keepGroup(
  name: string,
  tags: LogGroupSettings['tags'],
  { api }: LogsCall,
): Promise<boolean> {
  const { logGroups } = api.services;
  if ((await logGroups.count()) >= mostGroups) {
    throw new LogsError('LimitExceededException', 'Resource limit exceeded.');
  }
  return await logGroups.insert({ name, tags, retentionDays: null, createdAt: api.options.clock.now() });
}

/**
 * Changes what is set on a group that is there.
 * @throws {LogsError} ResourceNotFoundException
 */
export async function changeGroup(
  name: string,
  call: LogsCall,
  change: (group: LogGroupSettings) => LogGroupSettings,
): Promise<void> {
  const { logGroups } = call.api.services;
  if (!(await groupExists(name, call))) throw noSuchLogGroup();
  if ((await logGroups.find(name)) === undefined) await keepGroup(name, {}, call);
  await logGroups.update(name, change);
}
