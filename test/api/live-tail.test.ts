import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type LiveTailSessionUpdate,
  StartLiveTailCommand,
  type StartLiveTailCommandInput,
} from '@aws-sdk/client-cloudwatch-logs';
import { startLogServer } from './log-server.ts';
import { realm } from './server.ts';

const group = '/aws/lambda-microvms/counter';
const groupArn = `arn:aws:logs:${realm.region}:${realm.accountId}:log-group:${group}`;

// A host name with `streaming-` before it is not to be had here.
const { logs, client, close } = await startLogServer({ disableHostPrefix: true });

before(() => logs.append(group, 'one', [{ timestamp: 1, message: 'long ago' }]));

after(close);

interface Session {
  readonly start: object;
  /** Messages of the next update that has some. */
  next(): Promise<{
    readonly streams: readonly string[];
    readonly messages: readonly string[];
    readonly sampled: boolean;
  }>;
  end(): Promise<void>;
}

async function tail(input: Partial<StartLiveTailCommandInput> = {}): Promise<Session> {
  const command = new StartLiveTailCommand({ logGroupIdentifiers: [groupArn], ...input });
  const leaving = new AbortController();
  const { responseStream } = await client.send(command, { abortSignal: leaving.signal });
  assert(responseStream !== undefined);
  const events = responseStream[Symbol.asyncIterator]();
  const { value: first } = await events.next();
  assert(first?.sessionStart !== undefined, JSON.stringify(first));
  return {
    start: first.sessionStart,
    async next() {
      for (;;) {
        const { value } = await events.next();
        const update: LiveTailSessionUpdate | undefined = value?.sessionUpdate;
        assert(update !== undefined, JSON.stringify(value));
        const results = update.sessionResults ?? [];
        if (results.length === 0) continue;
        return {
          streams: [...new Set(results.map(({ logStreamName }) => logStreamName ?? ''))].sort(),
          messages: results.map(({ message }) => message ?? ''),
          sampled: update.sessionMetadata?.sampled ?? false,
        };
      }
    },
    async end() {
      leaving.abort();
      await events.return?.();
    },
  };
}

function write(stream: string, ...messages: readonly string[]): Promise<void> {
  return logs.append(
    group,
    stream,
    messages.map((message) => ({ timestamp: Date.now(), message })),
  );
}

test('tells what is written from now on, also to a stream that is new', async () => {
  const session = await tail();
  const { sessionId, requestId, ...rest } = session.start as Record<string, unknown>;
  assert.ok(typeof sessionId === 'string' && typeof requestId === 'string');
  assert.deepEqual(rest, {
    logGroupIdentifiers: [groupArn],
    logStreamNames: [],
    logStreamNamePrefixes: [],
    logEventFilterPattern: '',
  });
  await write('one', 'now ünd hier');
  assert.deepEqual(await session.next(), { streams: ['one'], messages: ['now ünd hier'], sampled: false });
  await write('brand-new', 'first', 'second');
  assert.deepEqual((await session.next()).messages, ['first', 'second']);
  await session.end();
});

test('narrows by stream, by prefix and by pattern', async () => {
  const sessions = await Promise.all([
    tail({ logStreamNames: ['one'] }),
    tail({ logStreamNamePrefixes: ['two'] }),
    tail({ logEventFilterPattern: '"on fire" -drill' }),
  ]);
  await write('one', 'all is well', 'the house is on fire', 'on fire, a drill');
  await write('two-b', 'two speaks');
  const [byName, byPrefix, byPattern] = await Promise.all(sessions.map((session) => session.next()));
  assert.deepEqual(byName?.streams, ['one']);
  assert.deepEqual(byPrefix?.messages, ['two speaks']);
  assert.deepEqual(byPattern?.messages, ['the house is on fire']);
  await Promise.all(sessions.map((session) => session.end()));
});

test('samples what is too much to look at', async () => {
  const session = await tail({ logStreamNames: ['flood'] });
  await write('flood', ...Array.from({ length: 2000 }, (_, index) => `line ${index}`));
  const update = await session.next();
  assert.ok(update.sampled && update.messages.length === 500, `${update.messages.length}`);
  await session.end();
});

test('refuses what is not there, contradicts itself, or is too much', async () => {
  const refused = (input: Partial<StartLiveTailCommandInput>, name: string) =>
    assert.rejects(client.send(new StartLiveTailCommand({ logGroupIdentifiers: [group], ...input })), {
      name,
    });
  await refused({ logGroupIdentifiers: ['/none'] }, 'ResourceNotFoundException');
  await refused({ logGroupIdentifiers: [] }, 'InvalidParameterException');
  await refused({ logStreamNames: ['a'], logStreamNamePrefixes: ['b'] }, 'InvalidParameterException');
  await refused({ logEventFilterPattern: '{ $.a = 1 }' }, 'InvalidParameterException');
  const sessions = await Promise.all(Array.from({ length: 15 }, () => tail()));
  await refused({}, 'LimitExceededException');
  await Promise.all(sessions.map((session) => session.end()));
});
