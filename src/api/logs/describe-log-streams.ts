import type { LogStreamDescription } from '../../telemetry/log-store.ts';
import { pageOf, paginate } from '../page-token.ts';
import { boolean, oneOf, optional, structure } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import {
  defaultListLimit,
  groupArn,
  groupMembers,
  groupOf,
  listLimit,
  nextToken,
  streamName,
  streamsOf,
} from './log-group.ts';
import { contradictingMembers } from './logs-error.ts';

export const describeLogStreams = defineAction({
  name: 'DescribeLogStreams',
  input: structure({
    ...groupMembers,
    logStreamNamePrefix: optional(streamName),
    orderBy: optional(oneOf(['LogStreamName', 'LastEventTime'])),
    descending: optional(boolean),
    nextToken,
    limit: listLimit,
  }),
  async handle(input, call) {
    const { orderBy = 'LogStreamName', descending = false, logStreamNamePrefix: prefix } = input;
    if (orderBy === 'LastEventTime' && prefix !== undefined) {
      throw contradictingMembers('logStreamNamePrefix', 'orderBy LastEventTime');
    }
    const { api } = call;
    const group = groupOf(input);
    const streams = (await streamsOf(group, call)).filter((stream) => stream.name.startsWith(prefix ?? ''));
    const sorted =
      orderBy === 'LogStreamName' ? streams : streams.toSorted((a, b) => a.lastEventAt - b.lastEventAt);
    const page = await paginate(
      api.pageTokens,
      { operation: 'DescribeLogStreams', filter: { group, prefix, orderBy, descending: String(descending) } },
      {
        maxResults: input.limit ?? defaultListLimit,
        ...(input.nextToken === undefined ? {} : { nextToken: input.nextToken }),
      },
      async (request) => pageOf(descending ? sorted.toReversed() : sorted, (stream) => stream.name, request),
      (stream) => streamToWire(stream, groupArn(api.options.realm, group)),
    );
    return {
      logStreams: page.items,
      ...(page.nextToken === null ? {} : { nextToken: page.nextToken }),
    };
  },
});

/** `storedBytes` of a stream is 0, as it has been at the service since 2019; a group's is true. */
function streamToWire(stream: LogStreamDescription, arnOfGroup: string): object {
  return {
    arn: `${arnOfGroup}:log-stream:${stream.name}`,
    logStreamName: stream.name,
    creationTime: stream.createdAt,
    firstEventTimestamp: stream.firstEventAt,
    lastEventTimestamp: stream.lastEventAt,
    lastIngestionTime: stream.writtenAt,
    storedBytes: 0,
  };
}
