import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { loadConfig } from '../config.ts';
import { CliError, serverUnknown } from './errors.ts';

/** What a running server says of itself: `serve --ready-json`, and `server.json` in its data directory. */
export const serverDescription = z.object({
  apiEndpoint: z.url(),
  s3Endpoint: z.url(),
  endpointPort: z.number(),
  endpointDomain: z.string(),
  region: z.string(),
  accountId: z.string(),
  accessKeyId: z.string(),
  secretAccessKey: z.string(),
  caCertificatePath: z.string(),
  vmm: z.string(),
  accelerator: z.string(),
  dataDirectory: z.string(),
});
export type ServerDescription = z.output<typeof serverDescription>;

/** Where a server is and who we are to it. */
export interface Connection {
  readonly apiEndpoint: string;
  readonly s3Endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  /** Absent for a server elsewhere; it is asked for its certificate then. */
  readonly caCertificatePath?: string | undefined;
}

export interface ConnectionOptions {
  readonly endpointUrl?: string | undefined;
  readonly region?: string | undefined;
  readonly dataDir?: string | undefined;
}

/**
 * Flags first, then the environment (`AWS_ENDPOINT_URL_LAMBDA_MICROVMS` with `AWS_*` keys, as `dormouse env`
 * prints them), then the file of the server that runs on the data directory.
 * @throws {CliError} no server is known, or its keys are not
 */
export async function findConnection(
  options: ConnectionOptions,
  environment: NodeJS.ProcessEnv,
): Promise<Connection> {
  const fromEnvironment =
    options.dataDir === undefined ? environment.AWS_ENDPOINT_URL_LAMBDA_MICROVMS : undefined;
  const endpoint = options.endpointUrl ?? fromEnvironment;
  if (endpoint === undefined || endpoint === '') {
    const server = await readServerFile(options.dataDir, environment);
    return { ...server, region: options.region ?? server.region };
  }
  const accessKeyId = environment.AWS_ACCESS_KEY_ID;
  const secretAccessKey = environment.AWS_SECRET_ACCESS_KEY;
  if (!accessKeyId || !secretAccessKey) {
    throw new CliError(
      `The keys for ${endpoint} are missing.`,
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, for a local server with: eval "$(dormouse env)"',
    );
  }
  return {
    apiEndpoint: endpoint,
    s3Endpoint: (options.endpointUrl === undefined ? environment.AWS_ENDPOINT_URL_S3 : undefined) ?? endpoint,
    region: options.region ?? environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION ?? 'us-east-1',
    accessKeyId,
    secretAccessKey,
    sessionToken: environment.AWS_SESSION_TOKEN,
  };
}

/**
 * The description that the server of a data directory wrote when it started.
 * @param dataDir the configured or default one when absent
 * @throws {CliError}
 */
export async function readServerFile(
  dataDir: string | undefined,
  environment: NodeJS.ProcessEnv,
): Promise<ServerDescription> {
  const { dataDirectory } = loadConfig(dataDir === undefined ? {} : { dataDirectory: dataDir }, environment);
  const file = path.join(dataDirectory, 'server.json');
  let content: string;
  try {
    content = await readFile(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw serverUnknown(dataDirectory);
    throw new CliError(`Cannot read ${file}: ${message}`, 'Only the user who runs the server may read it.');
  }
  return serverDescription.parse(JSON.parse(content));
}
