import type { Migration } from 'kysely/migration';
import * as initial from './0001-initial.ts';
import * as forks from './0002-forks.ts';
import * as ingress from './0003-ingress.ts';
import * as accessKeys from './0004-access-keys.ts';
import * as events from './0005-events.ts';
import * as connectors from './0006-connectors.ts';
import * as roles from './0007-roles.ts';
import * as activity from './0008-activity.ts';
import * as versionConditions from './0009-version-conditions.ts';
import * as awakeOnRequests from './0010-awake-on-requests.ts';
import * as bucketSettings from './0011-bucket-settings.ts';
import * as logGroups from './0012-log-groups.ts';
import * as clientTokensByPrincipal from './0013-client-tokens-by-principal.ts';
import * as rolesOfClients from './0014-roles-of-clients.ts';

/** Forward only, applied in the order of their names; a landed migration never changes. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
  '0002-forks': forks,
  '0003-ingress': ingress,
  '0004-access-keys': accessKeys,
  '0005-events': events,
  '0006-connectors': connectors,
  '0007-roles': roles,
  '0008-activity': activity,
  '0009-version-conditions': versionConditions,
  '0010-awake-on-requests': awakeOnRequests,
  '0011-bucket-settings': bucketSettings,
  '0012-log-groups': logGroups,
  '0013-client-tokens-by-principal': clientTokensByPrincipal,
  '0014-roles-of-clients': rolesOfClients,
};
