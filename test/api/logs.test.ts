import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  CloudWatchLogsClient,
  DescribeLogGroupsCommand,
  DescribeLogStreamsCommand,
  FilterLogEventsCommand,
  type FilterLogEventsCommandInput,
  GetLogEventsCommand,
  type GetLogEventsCommandInput,
  paginateDescribeLogGroups,
  paginateDescribeLogStreams,
  paginateFilterLogEvents,
  paginateGetLogEvents,
} from '@aws-sdk/client-cloudwatch-logs';
import { startLogServer } from './log-server.ts';
import { raw } from './raw.ts';
import { principal, realm, startServer } from './server.ts';

const group = '/aws/lambda-microvms/counter';
const start = Date.UTC(2026, 0, 2);
const [one, two] = ['2026/01/02[1.0]microvm-1', '2026/01/02[1.0]microvm-2'] as const;

const { logs, server, client, close } = await startLogServer();

before(async () => {
  for (let index = 0; index < 25; index += 1) {
    const event = {
      timestamp: start + index,
      message: `line ${index}${index % 5 === 0 ? ' ERROR "x y"' : ''}`,
    };
    await logs.append(group, index % 2 === 0 ? one : two, [event]);
  }
  await logs.append('/other/group', 'build', [{ timestamp: 5, message: 'built' }]);
});

after(close);

async function filter(input: Partial<FilterLogEventsCommandInput>): Promise<(string | undefined)[]> {
  const { events = [] } = await client.send(new FilterLogEventsCommand({ logGroupName: group, ...input }));
  return events.map(({ message }) => message);
}

function lines(...numbers: readonly number[]): string[] {
  return numbers.map((index) => `line ${index}${index % 5 === 0 ? ' ERROR "x y"' : ''}`);
}

test('groups are listed with what they hold', async () => {
  const { logGroups = [] } = await client.send(new DescribeLogGroupsCommand({ logGroupNamePrefix: '/aws/' }));
  assert.equal(logGroups.length, 1);
  const [found] = logGroups;
  assert.equal(found?.logGroupName, group);
  const arn = `arn:aws:logs:${realm.region}:${realm.accountId}:log-group:${group}`;
  assert.equal(found?.arn, `${arn}:*`);
  assert.equal(found?.logGroupArn, arn);
  assert.ok((found?.storedBytes ?? 0) > 0);
  assert.ok(Math.abs((found?.creationTime ?? 0) - Date.now()) < 60_000);

  const names: (string | undefined)[] = [];
  for await (const page of paginateDescribeLogGroups({ client }, { limit: 1 })) {
    assert.equal(page.logGroups?.length, 1);
    names.push(...(page.logGroups ?? []).map(({ logGroupName }) => logGroupName));
  }
  assert.deepEqual(names, [group, '/other/group']);
  const byPattern = await client.send(new DescribeLogGroupsCommand({ logGroupNamePattern: 'OTHER' }));
  assert.deepEqual(
    byPattern.logGroups?.map(({ logGroupName }) => logGroupName),
    ['/other/group'],
  );
});

test('streams are listed by name and by their last event', async () => {
  const { logStreams = [] } = await client.send(new DescribeLogStreamsCommand({ logGroupName: group }));
  assert.deepEqual(
    logStreams.map((stream) => [stream.logStreamName, stream.firstEventTimestamp, stream.lastEventTimestamp]),
    [
      [one, start, start + 24],
      [two, start + 1, start + 23],
    ],
  );
  const newest = await client.send(
    new DescribeLogStreamsCommand({
      logGroupIdentifier: `arn:aws:logs:us-east-1:${realm.accountId}:log-group:${group}`,
      orderBy: 'LastEventTime',
      descending: true,
      limit: 1,
    }),
  );
  assert.deepEqual(
    newest.logStreams?.map(({ logStreamName }) => logStreamName),
    [one],
  );
  const names: (string | undefined)[] = [];
  for await (const page of paginateDescribeLogStreams({ client }, { logGroupName: group, limit: 1 })) {
    names.push(...(page.logStreams ?? []).map(({ logStreamName }) => logStreamName));
  }
  assert.deepEqual(names, [one, two]);
});

test('a stream is read forward until the token stays the same, and on from there', async () => {
  const stream = 'growing';
  await logs.append('/growing', stream, [
    { timestamp: 1, message: 'a' },
    { timestamp: 2, message: 'b' },
    { timestamp: 3, message: 'c' },
  ]);
  const input: GetLogEventsCommandInput = {
    logGroupName: '/growing',
    logStreamName: stream,
    startFromHead: true,
    limit: 2,
  };
  const seen: (string | undefined)[][] = [];
  let end: string | undefined;
  for await (const page of paginateGetLogEvents({ client, stopOnSameToken: true }, input)) {
    seen.push((page.events ?? []).map(({ message }) => message));
    end = page.nextForwardToken;
  }
  assert.deepEqual(seen, [['a', 'b'], ['c'], []]);
  await logs.append('/growing', stream, [{ timestamp: 4, message: 'd' }]);
  const next = await client.send(new GetLogEventsCommand({ ...input, nextToken: end }));
  assert.deepEqual(
    next.events?.map(({ message, timestamp }) => [message, timestamp]),
    [['d', 4]],
  );
});

test('a stream is read backward from its end', async () => {
  const read = async (more: Partial<GetLogEventsCommandInput>) => {
    const input = { logGroupName: group, logStreamName: one, limit: 5, ...more };
    const page = await client.send(new GetLogEventsCommand(input));
    return { ...page, messages: page.events?.map(({ message }) => message) };
  };
  const last = await read({});
  assert.deepEqual(last.messages, lines(16, 18, 20, 22, 24));
  const earlier = await read({ nextToken: last.nextBackwardToken });
  assert.deepEqual(earlier.messages, lines(6, 8, 10, 12, 14));
  const first = await read({ nextToken: earlier.nextBackwardToken });
  assert.deepEqual(first.messages, lines(0, 2, 4));
  const before = await read({ nextToken: first.nextBackwardToken });
  assert.deepEqual(before.messages, []);
  assert.equal(before.nextBackwardToken, first.nextBackwardToken);
  assert.deepEqual((await read({ nextToken: before.nextForwardToken })).messages, lines(0, 2, 4, 6, 8));
  assert.deepEqual((await read({ startTime: start + 2, endTime: start + 6 })).messages, lines(2, 4));
});

test('events of all streams are merged by time, in pages', async () => {
  const all: (string | undefined)[] = [];
  const ids = new Set<string | undefined>();
  for await (const page of paginateFilterLogEvents({ client }, { logGroupName: group, limit: 4 })) {
    assert.ok((page.events?.length ?? 0) <= 4);
    for (const event of page.events ?? []) {
      all.push(event.message);
      ids.add(event.eventId);
      assert.equal(event.logStreamName, Number(event.timestamp) % 2 === start % 2 ? one : two);
    }
  }
  assert.deepEqual(all, lines(...Array.from({ length: 25 }, (_, index) => index)));
  assert.equal(ids.size, 25);
});

test('events are filtered by time, stream and text', async () => {
  assert.deepEqual(await filter({ startTime: start + 3, endTime: start + 5 }), lines(3, 4, 5));
  assert.deepEqual(await filter({ logStreamNames: [two], endTime: start + 4 }), lines(1, 3));
  assert.deepEqual(await filter({ logStreamNamePrefix: one, endTime: start + 4 }), lines(0, 2, 4));
  assert.deepEqual(await filter({ filterPattern: 'ERROR -"line 1"' }), lines(0, 5, 20));
  assert.deepEqual(await filter({ filterPattern: '"x y" ?20 ?15' }), lines(15, 20));
  assert.deepEqual(await filter({ filterPattern: 'error' }), []);
});

test('a client that follows sees each event once', async () => {
  const seen = new Map<string | undefined, string | undefined>();
  let since = 0;
  const poll = async (): Promise<void> => {
    const input = { logGroupName: '/followed', startTime: since, interleaved: true };
    for (const event of (await client.send(new FilterLogEventsCommand(input))).events ?? []) {
      assert.equal(seen.get(event.eventId) ?? event.message, event.message);
      seen.set(event.eventId, event.message);
      since = Math.max(since, event.timestamp ?? 0);
    }
  };
  await logs.append('/followed', 'a', [{ timestamp: 10, message: '1' }]);
  await poll();
  await logs.append('/followed', 'a', [{ timestamp: 10, message: '2' }]);
  await logs.append('/followed', 'b', [{ timestamp: 11, message: '3' }]);
  await poll();
  await poll();
  assert.deepEqual([...seen.values()], ['1', '2', '3']);
});

test('no answer is larger than a megabyte, and none loses an event', async () => {
  const message = 'x'.repeat(200_000);
  const events = Array.from({ length: 12 }, (_, index) => ({ timestamp: index, message }));
  await logs.append('/large', 'stream', events);
  const sizes: number[] = [];
  for await (const page of paginateFilterLogEvents({ client }, { logGroupName: '/large' })) {
    sizes.push(page.events?.length ?? 0);
  }
  assert.deepEqual(sizes, [5, 5, 2]);
  const input = { logGroupName: '/large', logStreamName: 'stream' };
  const last = await client.send(new GetLogEventsCommand(input));
  assert.deepEqual(
    last.events?.map(({ timestamp }) => timestamp),
    [7, 8, 9, 10, 11],
  );
});

test('what is not there or cannot be is refused in the words of the service', async () => {
  const absent = new GetLogEventsCommand({ logGroupName: 'none', logStreamName: 'a' });
  const missing = { name: 'ResourceNotFoundException', message: 'The specified log group does not exist.' };
  await assert.rejects(client.send(absent), missing);
  await assert.rejects(filter({ logGroupName: 'none' }), missing);
  await assert.rejects(filter({ logStreamNames: ['none'] }), {
    name: 'ResourceNotFoundException',
    message: 'The specified log stream does not exist.',
  });
  const invalid = { name: 'InvalidParameterException' };
  await assert.rejects(filter({ nextToken: 'made up' }), invalid);
  await assert.rejects(filter({ logStreamNames: [one], logStreamNamePrefix: 'a' }), invalid);
  await assert.rejects(filter({ logGroupName: undefined }), invalid);
  await assert.rejects(filter({ filterPattern: '{ $.a = 1 }' }), invalid);
  await assert.rejects(filter({ limit: 10_001 }), {
    ...invalid,
    message:
      "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000",
  });
  const command = new GetLogEventsCommand({ logGroupName: group, logStreamName: one, nextToken: 'f/1/s' });
  await assert.rejects(client.send(command), { ...invalid, message: 'The specified nextToken is invalid.' });
});

test('an operation that is not served and a stranger are refused', async () => {
  const unknown = await raw(server, 'POST', '/', '{}', 'logs');
  assert.deepEqual(
    [unknown.status, JSON.parse(unknown.text)],
    [400, { __type: 'UnknownOperationException', message: '' }],
  );
  const stranger = new CloudWatchLogsClient({
    ...server.client,
    credentials: { accessKeyId: 'AKIASTRANGER', secretAccessKey: 'x' },
    maxAttempts: 1,
  });
  await assert.rejects(stranger.send(new DescribeLogGroupsCommand({})), {
    name: 'UnrecognizedClientException',
  });
  stranger.destroy();
});

test('a key may read only the groups that its policy names', async () => {
  const allowed = `arn:aws:logs:*:${realm.accountId}:log-group:/other/*`;
  const limited = await startServer('relaxed', {
    services: {
      logs,
      credentials: {
        lookup: async () => ({
          secretAccessKey: server.client.credentials.secretAccessKey,
          principal,
          permissions: {
            statements: [
              {
                effect: 'Allow',
                actions: { except: false, patterns: ['logs:FilterLogEvents'] },
                resources: { except: false, patterns: [allowed] },
                conditions: [],
              },
            ],
          },
        }),
      },
    },
  });
  const reader = new CloudWatchLogsClient({ ...limited.client, maxAttempts: 1 });
  try {
    const own = await reader.send(new FilterLogEventsCommand({ logGroupName: '/other/group' }));
    assert.equal(own.events?.length, 1);
    const denied = { name: 'AccessDeniedException', message: /not authorized to perform: logs:/ };
    await assert.rejects(reader.send(new FilterLogEventsCommand({ logGroupName: group })), denied);
    const stream = new GetLogEventsCommand({ logGroupName: '/other/group', logStreamName: 'build' });
    await assert.rejects(reader.send(stream), denied);
    await assert.rejects(reader.send(new DescribeLogGroupsCommand({})), denied);
  } finally {
    reader.destroy();
    await limited.close();
  }
});
