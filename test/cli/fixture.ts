import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { openLocalCertificates } from '../../src/endpoint/certificates.ts';
import { createEndpoint } from '../../src/endpoint/endpoint.ts';
import { openTokens } from '../../src/endpoint/tokens.ts';
import { systemClock } from '../../src/model/clock.ts';
import { credentials, startServer, type TestServer } from '../api/server.ts';
import { hostDatagrams } from '../support/host-datagrams.ts';

const program = fileURLToPath(new URL('../../bin/dormouse', import.meta.url));
const domain = 'microvm.localhost';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The real API, endpoint and bucket, with images and microVMs in memory and one HTTP server as every guest. */
export interface CliFixture {
  readonly server: TestServer;
  readonly dataDirectory: string;
  /** Runs one command line against it. */
  dormouse(...words: readonly string[]): Promise<Outcome>;
  /** Builds an image and runs a microVM of it; resolves with the microVM's id. */
  launch(imageName: string): Promise<string>;
  close(): Promise<void>;
}

export async function startCliFixture(answer: http.RequestListener): Promise<CliFixture> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-cli-'));
  const guest = http.createServer(answer).listen(0, '127.0.0.1');
  await once(guest, 'listening');
  const guestPort = (guest.address() as AddressInfo).port;
  const certificates = await openLocalCertificates({ directory, domain, clock: systemClock });
  const tokens = await openTokens({ directory, clock: systemClock });
  let endpointPort = 0;
  const server = await startServer('relaxed', {
    services: {
      mintToken: (microvmId, grants, minutes) => tokens.mint(microvmId, grants, minutes),
      rotateTokenKey: (options) => tokens.rotateKey(options),
    },
    options: { endpointOf: (endpointId) => `${endpointId}.${domain}:${endpointPort}` },
  });
  const endpoint = createEndpoint({
    backend: {
      findByEndpoint: (endpointId) => server.services.microvms.findByEndpoint(endpointId),
      connect: async () => {
        const socket = net.connect({ port: guestPort, host: '127.0.0.1', allowHalfOpen: true });
        await once(socket, 'connect');
        return socket;
      },
      associate: (_id, _port, onDatagram) => hostDatagrams(guestPort, onDatagram),
    },
    tokens,
    certificates,
    domain,
    profile: 'relaxed',
  });
  endpointPort = await endpoint.listen(0, '127.0.0.1');
  const description = {
    apiEndpoint: server.url,
    s3Endpoint: server.url,
    endpointPort,
    endpointDomain: domain,
    region: 'us-east-1',
    accountId: '123456789012',
    ...credentials,
    caCertificatePath: certificates.caCertificatePath,
    vmm: 'qemu',
    accelerator: 'tcg',
    dataDirectory: directory,
  };
  await writeFile(path.join(directory, 'server.json'), JSON.stringify(description));
  const run = async (...words: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await dormouse(words, { DORMOUSE_DATA_DIR: directory });
    if (code !== 0) throw new Error(stderr);
    return stdout;
  };
  return {
    server,
    dataDirectory: directory,
    dormouse: (...words) => dormouse(words, { DORMOUSE_DATA_DIR: directory }),
    async launch(imageName) {
      const context = path.join(directory, 'context');
      await mkdir(context, { recursive: true });
      await writeFile(path.join(context, 'Dockerfile'), 'FROM dormouse/debian:12\nCMD ["true"]\n');
      await run('build', context, '--name', imageName);
      return (JSON.parse(await run('run', imageName, '--wait', '--json')) as { microvmId: string }).microvmId;
    },
    async close() {
      await endpoint.close();
      await server.close();
      guest.closeAllConnections();
      guest.close();
      await rm(directory, { recursive: true });
    },
  };
}

/** Runs `bin/dormouse` with nothing of this process's environment but PATH and HOME. */
export async function dormouse(
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(program, words, {
    env: { PATH, HOME, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'close') as Promise<[number | null]>;
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
  return { code, stdout, stderr };
}
