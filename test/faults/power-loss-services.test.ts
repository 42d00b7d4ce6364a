/*
 * As power-loss.test.ts, for what is no microVM: the artifact bucket, access keys, endpoint tokens and published ports.
 * From its very first start on the server loses power at each moment at which it makes a difference.
 */
import './seam/register.ts';
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { buffer } from 'node:stream/consumers';
import { after, before, it } from 'node:test';
import { pino } from 'pino';
import type { PublishedPorts as Ports } from '../../src/endpoint/published/published-ports.ts';
import type { Tokens } from '../../src/endpoint/tokens.ts';
import type { AccessKeys as Keys } from '../../src/identity/access-keys.ts';
import type { Microvm } from '../../src/model/microvm.ts';
import type { IncomingBody, ObjectStore } from '../../src/s3/object-store.ts';
import { type DiskMoment, DurableDisk } from './power/durable-disk.ts';
import { possibleStates } from './power/possible-states.ts';
import { ServerProcess } from './server-process.ts';

const { openTokens } = await import('../../src/endpoint/tokens.ts');
const { PublishedPorts } = await import('../../src/endpoint/published/published-ports.ts');
const { AccessKeys } = await import('../../src/identity/access-keys.ts');
const { rootAccessKey } = await import('../../src/identity/root-credentials.ts');
const { createSecretSealer } = await import('../../src/identity/sealed-secret.ts');
const { openSealingKey } = await import('../../src/identity/sealing-key.ts');
const { openDiskObjectStore } = await import('../../src/s3/disk-object-store.ts');
const { openDatabase } = await import('../../src/store/database.ts');

const bucket = 'artifacts';
const microvmId = 'microvm-1';
const policy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }],
});
const partBytes = 5 * 2 ** 20;
const clock = { now: () => 1_700_000_000_000 };

interface Services {
  readonly objects: ObjectStore;
  readonly accessKeys: Keys;
  readonly tokens: Tokens;
  readonly ports: Ports;
  /** What is closed only so that the next server can have it. */
  end(): Promise<void>;
}

/** As main.ts puts them together. */
async function compose(directory: string): Promise<Services> {
  const at = (name: string): string => path.join(directory, name);
  const store = await openDatabase(at('dormouse.sqlite'));
  const accessKeys = new AccessKeys({
    store,
    sealer: createSecretSealer(await openSealingKey(at('identity'))),
    accountId: '000000000000',
    clock,
    rootKey: await rootAccessKey(store),
  });
  const objects = await openDiskObjectStore({
    store,
    directory: at('s3'),
    defaultBucket: bucket,
    now: clock.now,
  });
  await objects.recover();
  const ports = new PublishedPorts({
    store,
    backend: {
      get: async (id) => ({ microvmId: id, state: 'RUNNING' }) as Microvm,
      connect: () => Promise.reject(new Error('nobody connects')),
      associate: () => Promise.reject(new Error('nobody sends')),
    },
    host: '127.0.0.1',
    profile: 'relaxed',
    logger: pino({ level: 'silent' }),
  });
  await ports.recover();
  const tokens = await openTokens({ directory: at('tokens'), clock });
  const end = async (): Promise<void> => {
    await ports.close();
    await store.destroy();
  };
  return { objects, accessKeys, tokens, ports, end };
}

function body(content: Uint8Array): IncomingBody {
  const stream = (async function* () {
    yield content;
  })();
  return { stream, algorithms: [], withSha256: false, verify: () => undefined };
}

async function contentOf({ objects }: Services, key: string): Promise<Buffer> {
  return await buffer((await objects.open(bucket, key)).read(undefined));
}

/** What a client has been told, and must find again. */
type Promised = (services: Services) => Promise<void>;

/** Calls as a client makes them, each with what it may rely on from then on. */
const calls: readonly (readonly [name: string, (services: Services) => Promise<Promised>])[] = [
  [
    'an object',
    async ({ objects }) => {
      const content = Buffer.alloc(70_000, 'object');
      await objects.put({ bucket, key: 'kept', contentType: null, headers: {} }, body(content));
      return async (later) => assert.ok((await contentOf(later, 'kept')).equals(content));
    },
  ],
  [
    'an object that replaces another',
    async ({ objects }) => {
      const target = { bucket, key: 'replaced', contentType: null, headers: {} };
      await objects.put(target, body(Buffer.alloc(5000, 'old')));
      await objects.put(target, body(Buffer.alloc(6000, 'new')));
      return async (later) =>
        assert.ok((await contentOf(later, 'replaced')).equals(Buffer.alloc(6000, 'new')));
    },
  ],
  [
    'a copy, whose original goes',
    async ({ objects }) => {
      const source = { bucket, key: 'original' };
      await objects.put({ ...source, contentType: null, headers: {} }, body(Buffer.from('copied')));
      await objects.copy(source, { bucket, key: 'copy' }, undefined);
      await objects.delete(bucket, 'original');
      return async (later) => {
        assert.equal(String(await contentOf(later, 'copy')), 'copied');
        await assert.rejects(contentOf(later, 'original'), { code: 'NoSuchKey' });
      };
    },
  ],
  [
    'an upload with one part',
    async ({ objects }) => {
      const attributes = { contentType: null, headers: {}, checksum: undefined };
      const upload = await objects.createUpload({ bucket, key: 'unfinished', ...attributes });
      await objects.putPart(upload, 1, body(Buffer.alloc(100, 'part')));
      return async (later) => {
        const parts = await later.objects.listParts(upload);
        assert.deepEqual(
          parts.map(({ size }) => size),
          [100],
        );
      };
    },
  ],
  [
    'a completed upload',
    async ({ objects }) => {
      const attributes = { contentType: null, headers: {}, checksum: undefined };
      const upload = await objects.createUpload({ bucket, key: 'parts', ...attributes });
      const first = await objects.putPart(upload, 1, body(Buffer.alloc(partBytes, 1)));
      const last = await objects.putPart(upload, 2, body(Buffer.alloc(1000, 2)));
      await objects.completeUpload(upload, [first, last]);
      return async (later) => {
        const content = await contentOf(later, 'parts');
        assert.ok(content.equals(Buffer.concat([Buffer.alloc(partBytes, 1), Buffer.alloc(1000, 2)])));
      };
    },
  ],
  [
    'an access key',
    async ({ accessKeys }) => {
      const { accessKeyId, secretAccessKey } = await accessKeys.create('builder', policy);
      return async (later) =>
        assert.equal((await later.accessKeys.lookup(accessKeyId))?.secretAccessKey, secretAccessKey);
    },
  ],
  [
    'a token, and keys rotated twice',
    async ({ tokens }) => {
      const grant = [{ allPorts: {} }];
      const revoked = await tokens.mint(microvmId, grant, 60);
      await tokens.rotateKey({ revoke: true });
      const kept = await tokens.mint(microvmId, grant, 60);
      await tokens.rotateKey({ revoke: false });
      return async (later) => {
        assert.equal((await later.tokens.verify(kept)).status, 'valid');
        assert.equal((await later.tokens.verify(revoked)).status, 'invalid');
      };
    },
  ],
  [
    'a published port',
    async ({ ports }) => {
      const { hostPort } = await ports.publish({
        microvmId,
        protocol: 'tcp',
        guestPort: 5432,
        allow: ['127.0.0.1'],
      });
      return async (later) =>
        assert.deepEqual(
          (await later.ports.list(microvmId)).map((port) => port.hostPort),
          [hostPort],
        );
    },
  ],
];

let scratch: string;
before(async () => {
  scratch = await mkdtemp(path.join(os.tmpdir(), 'dormouse-power-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

it('a loss of power costs nobody what the bucket, the keys or the ports have promised', async (context) => {
  const directory = path.join(scratch, 'data');
  await mkdir(directory);
  const disk = new DurableDisk(directory, path.join(scratch, 'copies'));
  const moments: {
    readonly disk: DiskMoment;
    readonly promised: readonly Promised[];
    readonly during: string;
  }[] = [];
  const promised: Promised[] = [];
  let during = 'the first start';
  const remember = (): void => void moments.push({ disk: disk.moment(), promised: [...promised], during });
  disk.onMoment = remember;
  const server = new ServerProcess(directory, disk);
  await server.run(async () => {
    const services = await compose(directory);
    for (const [name, call] of calls) {
      during = name;
      promised.push(await call(services));
      remember();
    }
    disk.onMoment = () => undefined;
    await services.end();
  });

  const seen = new Set<string>();
  for (const moment of moments) {
    for (const state of possibleStates(moment.disk, { thorough: true })) {
      const digest = `${state.digest} ${moment.promised.length}`;
      if (seen.has(digest)) continue;
      seen.add(digest);
      const data = path.join(scratch, `after-${seen.size}`);
      await mkdir(data);
      try {
        await state.materialize(data);
        await new ServerProcess(data).run(() => holds(data, moment.promised));
      } catch (error) {
        throw new Error(`during ${moment.during}, with ${state.description}`, { cause: error });
      }
      await rm(data, { recursive: true });
    }
  }
  context.diagnostic(`${moments.length} moments, ${seen.size} states`);
});

async function holds(directory: string, promised: readonly Promised[]): Promise<void> {
  const services = await compose(directory);
  try {
    for (const promise of promised) await promise(services);
  } finally {
    await services.end();
  }
}
