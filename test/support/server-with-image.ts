import assert from 'node:assert/strict';
import { builtImage, createImage, zip } from './counter-image.ts';
import { CounterVms } from './counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from './dormouse-server.ts';

/** A server of its own with one image that has been built, and microVMs of it. */
export interface ServerWithImage {
  readonly directory: string;
  readonly server: DormouseServer;
  readonly imageArn: string;
  readonly vms: CounterVms;
}

/** @param files of the image's artifact @param flags of the server */
export async function startServerWithImage(
  name: string,
  files: Parameters<typeof zip>[0],
  flags?: readonly string[],
): Promise<ServerWithImage> {
  const directory = await temporaryDirectory();
  const server = await DormouseServer.start(directory, flags);
  try {
    const imageArn = await createImage(server, name, await zip(files));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    return { directory, server, imageArn, vms: new CounterVms(server, imageArn) };
  } catch (error) {
    await removeServer(directory, server);
    throw error;
  }
}

/** Stops the server and removes all it had. */
export async function removeServer(directory: string, server: DormouseServer): Promise<void> {
  await server.stop();
  await removeDataDirectory(directory);
}
