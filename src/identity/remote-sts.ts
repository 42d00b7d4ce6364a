import type { STSClient } from '@aws-sdk/client-sts';

/** What STS gives out; times are epoch milliseconds. */
export interface AssumedCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresAt: number;
}

/** STS gives nothing out for less. */
const shortestSeconds = 900;
const timeoutMs = 5000;

/**
 * Roles assumed at another STS, with the AWS credentials in this server's environment.
 * @param endpoint such as `https://sts.eu-central-1.amazonaws.com`
 * @param now epoch milliseconds
 */
export function remoteSts(
  endpoint: string,
  region: string,
  now: () => number,
): (roleArn: string, sessionName: string, expiresAt: number) => Promise<AssumedCredentials> {
  let client: STSClient | undefined;
  return async (roleArn, sessionName, expiresAt) => {
    // Few servers need it, so it is loaded when it is used.
    const sdk = await import('@aws-sdk/client-sts');
    client ??= new sdk.STSClient({ endpoint, region, maxAttempts: 2 });
    const command = new sdk.AssumeRoleCommand({
      RoleArn: roleArn,
      RoleSessionName: sessionName,
      DurationSeconds: Math.max(shortestSeconds, Math.round((expiresAt - now()) / 1000)),
    });
    const answer = await client.send(command, { abortSignal: AbortSignal.timeout(timeoutMs) });
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = answer.Credentials ?? {};
    if (
      AccessKeyId === undefined ||
      SecretAccessKey === undefined ||
      SessionToken === undefined ||
      Expiration === undefined
    ) {
      throw new Error(`${endpoint} gave no credentials for ${roleArn}`);
    }
    return {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
      expiresAt: Expiration.getTime(),
    };
  };
}
