import { assumedRole } from './assumed-role.ts';
import { createSessions, type SessionCredentials } from './sessions.ts';

/**
 * Credentials of the roles that microVMs run under, which this server's API knows.
 * @param key the one that the API seals sessions with
 */
export function localSts(
  key: Buffer,
): (roleArn: string, sessionName: string, expiresAt: number) => Promise<SessionCredentials> {
  const sessions = createSessions(key);
  return async (roleArn, sessionName, expiresAt) =>
    sessions.issue(assumedRole(roleArn, sessionName), { role: roleArn }, expiresAt);
}
