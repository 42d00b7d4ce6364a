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
  /** Loaded when it is needed: few servers do. */
  const client = (async () => {
    const sdk = await import('@aws-sdk/client-sts');
    return { sdk, sts: new sdk.STSClient({ endpoint, region, maxAttempts: 2 }) };
  })();
  return async (roleArn, sessionName, expiresAt) => {
    const { sdk, sts } = await client;
    const command = new sdk.AssumeRoleCommand({
      RoleArn: roleArn,
      RoleSessionName: sessionName,
      DurationSeconds: Math.max(shortestSeconds, Math.round((expiresAt - now()) / 1000)),
    });
    const answer = await sts.send(command, { abortSignal: AbortSignal.timeout(timeoutMs) });
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
