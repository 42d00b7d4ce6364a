import { pageOf, paginate } from '../page-token.ts';
import { boolean, list, oneOf, optional, structure, text } from '../shapes/shape.ts';
import { defineAction } from './action.ts';
import { defaultListLimit, groupArn, groupPrefix, listLimit, nextToken } from './log-group.ts';
import { contradictingMembers } from './logs-error.ts';

/** Account and class members are taken and ignored: there is one account and one class. */
export const describeLogGroups = defineAction({
  name: 'DescribeLogGroups',
  input: structure({
    accountIdentifiers: optional(list(text({ min: 12, max: 12, pattern: '\\d{12}' }), { min: 0, max: 20 })),
    includeLinkedAccounts: optional(boolean),
    logGroupClass: optional(oneOf(['STANDARD', 'INFREQUENT_ACCESS', 'DELIVERY'])),
    logGroupNamePrefix: optional(groupPrefix),
    logGroupNamePattern: optional(text({ min: 0, max: 512, pattern: '[\\.\\-_/#A-Za-z0-9]*' })),
    nextToken,
    limit: listLimit,
  }),
  async handle({ logGroupNamePrefix: prefix, logGroupNamePattern: pattern, ...input }, { api, logs }) {
    if (prefix !== undefined && pattern !== undefined) {
      throw contradictingMembers('logGroupNamePrefix', 'logGroupNamePattern');
    }
    const kept = new Map((await api.services.logGroups.list()).map((group) => [group.name, group]));
    const groups = [...new Set([...(await logs.groups()), ...kept.keys()])]
      .sort()
      .filter((name) => name.startsWith(prefix ?? '') && contains(name, pattern ?? ''));
    const page = await paginate(
      api.pageTokens,
      { operation: 'DescribeLogGroups', filter: { prefix, pattern } },
      { maxResults: input.limit ?? defaultListLimit, ...present(input.nextToken) },
      async (request) => pageOf(groups, (name) => name, request),
      (name) => name,
    );
    const described = page.items.map(async (name) => {
      const streams = await logs.describe(name);
      const arn = groupArn(api.options.realm, name);
      const settings = kept.get(name);
      const days = settings?.retentionDays ?? undefined;
      return {
        arn: `${arn}:*`,
        logGroupArn: arn,
        logGroupName: name,
        logGroupClass: 'STANDARD',
        creationTime: Math.min(
          ...streams.map((stream) => stream.createdAt),
          settings?.createdAt ?? api.options.clock.now(),
        ),
        ...(days === undefined ? {} : { retentionInDays: days }),
        metricFilterCount: 0,
        storedBytes: streams.reduce((sum, stream) => sum + stream.storedBytes, 0),
      };
    });
    return { logGroups: await Promise.all(described), ...present(page.nextToken ?? undefined) };
  },
});

function contains(name: string, pattern: string): boolean {
  return name.toLowerCase().includes(pattern.toLowerCase());
}

function present(token: string | undefined): { readonly nextToken?: string } {
  return token === undefined ? {} : { nextToken: token };
}
