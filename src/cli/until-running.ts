import { GetMicrovmCommand, type GetMicrovmCommandOutput } from '@aws-sdk/client-lambda-microvms';
import type { Client } from './client.ts';
import { CliError } from './errors.ts';
import { poll } from './wait.ts';

const pollMs = 50;

/** @throws {CliError} the microVM has ended instead */
export async function untilRunning(
  client: Client,
  microvmIdentifier: string,
): Promise<GetMicrovmCommandOutput> {
  const microvms = await client.microvms();
  return await poll(pollMs, async () => {
    const microvm = await microvms.send(new GetMicrovmCommand({ microvmIdentifier }));
    if (microvm.state === 'PENDING') return undefined;
    if (microvm.state === 'TERMINATING' || microvm.state === 'TERMINATED') {
      throw new CliError(
        `${microvmIdentifier} did not start: ${microvm.stateReason ?? 'no reason given'}`,
        `Its output: dormouse logs ${microvmIdentifier}`,
      );
    }
    return microvm;
  });
}
