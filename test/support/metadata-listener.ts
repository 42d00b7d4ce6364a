import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { localSts } from '../../src/api/sts/local-sts.ts';
import { systemClock } from '../../src/model/clock.ts';
import { createMetadataService } from '../../src/network/metadata/metadata-service.ts';
import { createMetadataTokens } from '../../src/network/metadata/metadata-tokens.ts';
import { ExecutionRoleCredentials } from '../../src/network/metadata/role-credentials.ts';
import { fakeMicrovm } from '../endpoint/fixture.ts';

/** The metadata service of a microVM that was just launched under a role, at a port of this machine. */
export async function startMetadata(
  t: { after(close: () => void): void },
  {
    region,
    accountId,
    pageTokenKey,
    role,
  }: { region: string; accountId: string; pageTokenKey: Buffer; role: string },
): Promise<{ readonly url: string; readonly microvmId: string }> {
  const executionRoleArn = `arn:aws:iam::${accountId}:role/${role}`;
  const microvm = fakeMicrovm({ executionRoleArn, startedAt: Date.now() });
  const metadata = createMetadataService({
    region,
    accountId,
    tokens: createMetadataTokens(randomBytes(32)),
    credentials: new ExecutionRoleCredentials(localSts(pageTokenKey), systemClock),
    clock: systemClock,
    onFailure: (_microvmId, error) => assert.fail(String(error)),
  });
  const guest = metadata.forGuest(microvm);
  const listener = createServer({ allowHalfOpen: true }, (socket) => guest(socket)).listen(0, '127.0.0.1');
  t.after(() => listener.close());
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, microvmId: microvm.microvmId };
}
