import type { Principal } from '../sigv4/credentials.ts';

/** Who a session of a role is. */
export function assumedRole(roleArn: string, sessionName: string): Principal {
  const accountId = roleArn.split(':')[4] ?? '';
  const role = roleArn.slice(roleArn.lastIndexOf('/') + 1);
  return {
    arn: `arn:aws:sts::${accountId}:assumed-role/${role}/${sessionName}`,
    accountId,
    userId: `${role}:${sessionName}`,
  };
}
