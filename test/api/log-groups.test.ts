/** What is set on log groups. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import * as cloudwatch from '@aws-sdk/client-cloudwatch-logs';
import { startLogServer } from './log-server.ts';
import { realm } from './server.ts';

const { logs, server, client, close } = await startLogServer();
after(close);

const arnOf = (group: string): string => `arn:aws:logs:${realm.region}:${realm.accountId}:log-group:${group}`;
const missing = { name: 'ResourceNotFoundException' };

async function described(logGroupNamePrefix: string) {
  const found = await client.send(new cloudwatch.DescribeLogGroupsCommand({ logGroupNamePrefix }));
  return found.logGroups?.map(({ logGroupName, retentionInDays }) => [logGroupName, retentionInDays]);
}

test('a group is made once, kept for as long as is said, and deleted with what it holds', async () => {
  const logGroupName = '/tools/one';
  const create = () => client.send(new cloudwatch.CreateLogGroupCommand({ logGroupName }));
  const retain = (retentionInDays: number) =>
    client.send(new cloudwatch.PutRetentionPolicyCommand({ logGroupName, retentionInDays }));
  await assert.rejects(retain(14), missing);
  await create();
  await assert.rejects(create(), { name: 'ResourceAlreadyExistsException' });
  assert.deepEqual(await described('/tools/'), [[logGroupName, undefined]]);
  const streams = await client.send(new cloudwatch.DescribeLogStreamsCommand({ logGroupName }));
  assert.deepEqual(streams.logStreams, []);
  await retain(14);
  assert.deepEqual(await described('/tools/'), [[logGroupName, 14]]);
  assert.deepEqual([...(await server.services.logGroups.retentions())], [[logGroupName, 14]]);
  await assert.rejects(retain(15), { name: 'InvalidParameterException' });
  await client.send(new cloudwatch.DeleteRetentionPolicyCommand({ logGroupName }));
  assert.deepEqual(await described('/tools/'), [[logGroupName, undefined]]);
  await logs.append(logGroupName, 'stream', [{ timestamp: Date.now(), message: 'written' }]);
  const remove = () => client.send(new cloudwatch.DeleteLogGroupCommand({ logGroupName }));
  await remove();
  assert.deepEqual(await logs.streams(logGroupName), []);
  assert.deepEqual(await described('/tools/'), []);
  await assert.rejects(remove(), missing);
});

test('a group that was only written to has retention and tags too', async () => {
  const logGroupName = '/tools/written';
  await logs.append(logGroupName, 'stream', [{ timestamp: Date.now(), message: 'written' }]);
  await assert.rejects(client.send(new cloudwatch.CreateLogGroupCommand({ logGroupName })), {
    name: 'ResourceAlreadyExistsException',
  });
  await client.send(new cloudwatch.PutRetentionPolicyCommand({ logGroupName, retentionInDays: 1 }));
  await client.send(
    new cloudwatch.TagResourceCommand({ resourceArn: arnOf(logGroupName), tags: { a: 'b' } }),
  );
  assert.deepEqual(await described(logGroupName), [[logGroupName, 1]]);
});

test('tags are kept by ARN and by name', async () => {
  const logGroupName = '/tagged/one';
  const resourceArn = arnOf(logGroupName);
  const tags = async (arn = resourceArn) =>
    (await client.send(new cloudwatch.ListTagsForResourceCommand({ resourceArn: arn }))).tags;
  await assert.rejects(tags(), missing);
  await client.send(new cloudwatch.CreateLogGroupCommand({ logGroupName, tags: { team: 'a' } }));
  await client.send(new cloudwatch.TagResourceCommand({ resourceArn, tags: { team: 'b', stage: 'c' } }));
  assert.deepEqual(await tags(), { team: 'b', stage: 'c' });
  assert.deepEqual(await tags(`${resourceArn}:*`), { team: 'b', stage: 'c' });
  await client.send(new cloudwatch.TagLogGroupCommand({ logGroupName, tags: { third: '' } }));
  await client.send(new cloudwatch.UntagLogGroupCommand({ logGroupName, tags: ['stage'] }));
  await client.send(new cloudwatch.UntagResourceCommand({ resourceArn, tagKeys: ['team'] }));
  const { tags: left } = await client.send(new cloudwatch.ListTagsLogGroupCommand({ logGroupName }));
  assert.deepEqual(left, { third: '' });
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`k${index}`, '']));
  await assert.rejects(client.send(new cloudwatch.TagResourceCommand({ resourceArn, tags: many })), {
    name: 'TooManyTagsException',
  });
  const reserved = new cloudwatch.TagResourceCommand({ resourceArn, tags: { 'aws:a': '' } });
  await assert.rejects(client.send(reserved), { name: 'InvalidParameterException' });
  assert.deepEqual(await tags(), { third: '' });
  const other = `arn:aws:logs:${realm.region}:${realm.accountId}:destination:${logGroupName}`;
  await assert.rejects(tags(other), missing);
});

test('what a group cannot have is refused and makes none', async () => {
  const logGroupName = '/refused';
  for (const input of [
    { kmsKeyId: 'arn:aws:kms:us-east-1:123456789012:key/1' },
    { logGroupClass: 'INFREQUENT_ACCESS' as const },
    { tags: { 'aws:a': 'b' } },
  ]) {
    await assert.rejects(client.send(new cloudwatch.CreateLogGroupCommand({ logGroupName, ...input })), {
      name: 'InvalidParameterException',
    });
  }
  assert.deepEqual(await described(logGroupName), []);
});

test('each needs its own action on the group', async () => {
  const policy = (...statements: readonly object[]): string =>
    JSON.stringify({ Version: '2012-10-17', Statement: statements });
  const key = await server.services.accessKeys?.create(
    'deployer',
    policy(
      { Effect: 'Allow', Action: 'logs:CreateLogGroup', Resource: `${arnOf('/mine/')}*` },
      { Effect: 'Allow', Action: 'logs:*Tag*', Resource: arnOf('/mine/one') },
    ),
  );
  assert.ok(key);
  const mine = new cloudwatch.CloudWatchLogsClient({ ...server.client, credentials: key, maxAttempts: 1 });
  const refused = { name: 'AccessDeniedException' };
  await mine.send(new cloudwatch.CreateLogGroupCommand({ logGroupName: '/mine/one' }));
  await assert.rejects(mine.send(new cloudwatch.CreateLogGroupCommand({ logGroupName: '/yours' })), refused);
  const resourceArn = arnOf('/mine/one');
  await mine.send(new cloudwatch.TagResourceCommand({ resourceArn, tags: { a: 'b' } }));
  await mine.send(new cloudwatch.ListTagsLogGroupCommand({ logGroupName: '/mine/one' }));
  const list = new cloudwatch.ListTagsForResourceCommand({ resourceArn: arnOf('/tagged/one') });
  await assert.rejects(mine.send(list), refused);
  for (const logGroupName of ['/mine/one', '/tagged/one']) {
    await assert.rejects(mine.send(new cloudwatch.DeleteLogGroupCommand({ logGroupName })), refused);
    const retain = { logGroupName, retentionInDays: 1 };
    await assert.rejects(mine.send(new cloudwatch.PutRetentionPolicyCommand(retain)), refused);
  }
  mine.destroy();
});
