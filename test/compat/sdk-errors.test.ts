import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as sdk from '@aws-sdk/client-lambda-microvms';
import type { ApiOptions, ApiServices } from '../../src/api/services.ts';
import {
  clientTokenReused,
  insufficientCapacity,
  memoryQuotaExceeded,
  type ServiceError,
} from '../../src/errors.ts';
import { raw } from '../api/raw.ts';
import { startServer, type TestServer } from '../api/server.ts';
import { type Case, cases, newImage, type Things } from './operations.ts';

const commands = fileURLToPath(import.meta.resolve('@aws-sdk/client-lambda-microvms')).replace(
  /dist-.*$/,
  'dist-types/commands/',
);

/** Errors that an operation's model has, as the client documents them. */
async function modelledErrors(name: string): Promise<readonly string[]> {
  const text = await readFile(`${commands}${name}Command.d.ts`, 'utf8');
  return [...text.matchAll(/@throws \{@link (\w+)\}/g)]
    .map(([, error = '']) => error)
    .filter((error) => error !== 'LambdaMicrovmsServiceException');
}

/** Why the server never answers so. Everything else that is modelled is produced below. */
const neverProduced: readonly {
  readonly error: string;
  readonly operations: readonly string[];
  readonly reason: string;
}[] = [
  {
    error: 'InternalServerException',
    operations: ['ListManagedMicrovmImages', 'ListManagedMicrovmImageVersions'],
    reason:
      'they are answered from what the server is made with: there is nothing behind them that could fail',
  },
  {
    error: 'ResourceNotFoundException',
    operations: ['ListMicrovms', 'CreateMicrovmImage'],
    reason: 'a list of what is not there is empty, and a new image refers to nothing but its base image',
  },
  {
    error: 'InvalidParameterValueException',
    operations: ['ListTags', 'TagResource', 'UntagResource'],
    reason: 'the spelling of classic Lambda; what is invalid is a ValidationException',
  },
  {
    error: 'ResourceConflictException',
    operations: ['TagResource', 'UntagResource'],
    reason: 'the spelling of classic Lambda; changes of tags wait for each other',
  },
  {
    error: 'TooManyRequestsException',
    operations: ['ListTags', 'TagResource', 'UntagResource'],
    reason: 'the spelling of classic Lambda; what comes too often is a ThrottlingException',
  },
];

function isNever(error: string, operation: string): boolean {
  return neverProduced.some((never) => never.error === error && never.operations.includes(operation));
}

/** Services of which everything fails with `error`. */
function failing(error: unknown): Partial<ApiServices> {
  const fail = async (): Promise<never> => {
    throw error;
  };
  const services: unknown = new Proxy({}, { get: () => fail });
  return {
    images: services as ApiServices['images'],
    microvms: services as ApiServices['microvms'],
  };
}

interface Room {
  readonly server: TestServer;
  readonly client: sdk.LambdaMicrovmsClient;
  readonly things: Things;
}

describe('errors of the service as the official client gets them', () => {
  const rooms: { server: TestServer; client: sdk.LambdaMicrovmsClient }[] = [];
  let usual: Room;

  async function start(
    services: Partial<ApiServices> = {},
    options: Partial<ApiOptions> = {},
    credentials?: sdk.LambdaMicrovmsClientConfig['credentials'],
  ): Promise<{ server: TestServer; client: sdk.LambdaMicrovmsClient }> {
    const server = await startServer('relaxed', { services, options });
    const client = new sdk.LambdaMicrovmsClient({
      ...server.client,
      ...(credentials === undefined ? {} : { credentials }),
      maxAttempts: 1,
    });
    rooms.push({ server, client });
    return { server, client };
  }

  before(async () => {
    const { server, client } = await start();
    const imageArn = await newImage(client);
    const { items = [] } = await client.send(
      new sdk.ListMicrovmImageBuildsCommand({ imageIdentifier: imageArn, imageVersion: '1.0' }),
    );
    usual = {
      server,
      client,
      things: {
        imageArn,
        buildId: items[0]?.buildId ?? '',
        async microvm() {
          const { microvmId } = await client.send(new sdk.RunMicrovmCommand({ imageIdentifier: imageArn }));
          return microvmId ?? '';
        },
      },
    };
  });

  after(async () => {
    for (const { server, client } of rooms) {
      client.destroy();
      await server.close();
    }
  });

  /** Calls an operation with input that would succeed, with another client. */
  function callWith(client: sdk.LambdaMicrovmsClient, entry: Case): Promise<object> {
    const { things } = usual;
    return entry.name.endsWith('ShellAuthToken')
      ? client.send(
          new sdk.CreateMicrovmShellAuthTokenCommand({ microvmIdentifier: 'x', expirationInMinutes: 5 }),
        )
      : entry.good(client, { ...things, microvm: async () => 'microvm-1' });
  }

  async function refuses(call: Promise<object>, type: string, entry: Case): Promise<Error> {
    const error = await call.then(
      () => assert.fail(`${entry.name} succeeded`),
      (thrown: unknown) => thrown,
    );
    assert(error instanceof sdk.LambdaMicrovmsServiceException, `${entry.name}: ${error}`);
    assert.equal(error.name, type, `${entry.name}: ${error.message}`);
    // The client knows the type: it made an instance of the error's own class.
    const known = Object.entries(sdk).find(([name]) => name === type)?.[1];
    assert.ok(
      typeof known === 'function' && error instanceof known,
      `${entry.name}: ${type} is not modelled`,
    );
    assert.ok(error.$metadata.requestId, `${entry.name} has no request id`);
    return error;
  }

  async function eachWith(
    error: string,
    produce: (entry: Case) => Promise<object> | undefined,
  ): Promise<void> {
    let produced = 0;
    for (const entry of cases) {
      const modelled = (await modelledErrors(entry.name)).includes(error);
      const call = modelled && !isNever(error, entry.name) ? produce(entry) : undefined;
      if (!modelled || isNever(error, entry.name)) continue;
      assert.ok(call !== undefined, `${entry.name}: nothing produces ${error}, and nothing says why`);
      await refuses(call, error, entry);
      produced += 1;
    }
    assert.ok(produced > 0);
  }

  test('the table has every operation of the client, and each succeeds', async () => {
    const known = Object.keys(sdk).filter((name) => /^[A-Z].*Command$/.test(name) && name !== '$Command');
    assert.deepEqual(cases.map(({ name }) => `${name}Command`).sort(), known.sort());
    for (const entry of cases) {
      const answer = await entry.good(usual.client, usual.things);
      assert.ok('$metadata' in answer, entry.name);
    }
    assert.deepEqual(usual.server.faults, []);
  });

  test('ValidationException', async () => {
    await eachWith('ValidationException', (entry) => entry.invalid(usual.client));
  });

  test('ResourceNotFoundException', async () => {
    await eachWith('ResourceNotFoundException', (entry) => entry.missing?.(usual.client));
  });

  test('AccessDeniedException', async () => {
    const policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }],
    });
    const made = await raw(usual.server, 'POST', '/dormouse/v1/keys', { keyName: 'nobody', policy });
    const { accessKeyId, secretAccessKey } = made.json as { accessKeyId: string; secretAccessKey: string };
    const client = new sdk.LambdaMicrovmsClient({
      ...usual.server.client,
      credentials: { accessKeyId, secretAccessKey },
      maxAttempts: 1,
    });
    const microvm = await usual.things.microvm();
    await eachWith('AccessDeniedException', (entry) =>
      ['UpdateMicrovmImage', 'DeleteMicrovmImage', 'DeleteMicrovmImageVersion'].includes(entry.name)
        ? entry.missing?.(client)
        : entry.name === 'CreateMicrovmShellAuthToken'
          ? client.send(
              new sdk.CreateMicrovmShellAuthTokenCommand({
                microvmIdentifier: microvm,
                expirationInMinutes: 5,
              }),
            )
          : entry.good(client, { ...usual.things, microvm: async () => microvm }),
    );
    client.destroy();
  });

  test('ThrottlingException, with when to come back', async () => {
    const rates = Object.fromEntries(cases.map(({ name }) => [name, 0.5]));
    const { client } = await start({}, { rates });
    for (const entry of cases) {
      const call = entry.missing ?? entry.invalid;
      await call(client).catch(() => undefined);
      const error = await refuses(call(client), 'ThrottlingException', entry);
      assert.equal((error as sdk.ThrottlingException).retryAfterSeconds, 2, entry.name);
    }
  });

  test('InternalServerException, and nothing of what happened inside', async () => {
    const { client, server } = await start(failing(new Error('secrets of the house')));
    await eachWith('InternalServerException', (entry) =>
      (entry.missing ?? ((c: sdk.LambdaMicrovmsClient) => callWith(c, entry)))(client),
    );
    const error = await client.send(new sdk.GetMicrovmCommand({ microvmIdentifier: 'x' })).catch(String);
    assert.doesNotMatch(String(error), /secrets/);
    assert.ok(server.faults.length > 10);
  });

  const byService: readonly (readonly [string, ServiceError])[] = [
    ['ConflictException', clientTokenReused()],
    ['ServiceQuotaExceededException', memoryQuotaExceeded()],
    ['InsufficientCapacityException', insufficientCapacity('There is no memory left.')],
  ];
  for (const [type, thrown] of byService) {
    test(`${type}: ${thrown.message}`, async () => {
      const { client } = await start(failing(thrown));
      await eachWith(type, (entry) =>
        (entry.missing ?? ((c: sdk.LambdaMicrovmsClient) => callWith(c, entry)))(client),
      );
    });
  }
});
