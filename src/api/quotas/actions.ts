import type { Api } from '../operation.ts';
import { pageOf, paginate } from '../page-token.ts';
import {
  type Infer,
  integer,
  type Members,
  optional,
  required,
  type StructureShape,
  structure,
  text,
} from '../shapes/shape.ts';
import { appliedValue, defaultValue, type Quota, quotas, serviceCode } from './quotas.ts';

/** There is no such quota or service. */
export class NoSuchQuotaError extends Error {
  override readonly name = 'NoSuchQuotaError';
}

export interface QuotasAction {
  readonly name: string;
  readonly members: Members;
  /** @throws {ServiceError | NoSuchQuotaError} */
  run(input: object, api: Api): Promise<object>;
}

function defineAction<const M extends Members>(definition: {
  readonly name: string;
  readonly input: StructureShape<M>;
  handle(input: Infer<StructureShape<M>>, api: Api): Promise<object>;
}): QuotasAction {
  const { name, input, handle } = definition;
  return {
    name,
    members: input.members,
    run: (checked, api) => handle(checked as Infer<StructureShape<M>>, api),
  };
}

type Values = (quota: Quota, api: Api) => number | undefined;

const code = text({ min: 1, max: 128, pattern: '[a-zA-Z][a-zA-Z0-9-]{0,127}' });
const pageMembers = {
  NextToken: optional(text({ min: 1, max: 4096 })),
  MaxResults: optional(integer({ min: 1, max: 100 })),
};

/** What is served of Service Quotas: all that reads the quotas of microVMs whose codes are known. */
export const quotasActions: readonly QuotasAction[] = [
  getAction('GetServiceQuota', appliedValue),
  getAction('GetAWSDefaultServiceQuota', defaultValue),
  listAction('ListServiceQuotas', appliedValue),
  listAction('ListAWSDefaultServiceQuotas', defaultValue),
  defineAction({
    name: 'ListServices',
    input: structure(pageMembers),
    handle: async () => ({ Services: [{ ServiceCode: serviceCode, ServiceName: 'AWS Lambda' }] }),
  }),
];

function getAction(name: string, values: Values): QuotasAction {
  return defineAction({
    name,
    input: structure({ ServiceCode: required(code), QuotaCode: required(code) }),
    async handle({ ServiceCode, QuotaCode }, api) {
      requireService(ServiceCode);
      const quota = quotas.find((candidate) => candidate.code === QuotaCode);
      const value = quota === undefined ? undefined : values(quota, api);
      if (quota === undefined || value === undefined) {
        throw new NoSuchQuotaError('The request failed because the specified quota does not exist.');
      }
      return { Quota: quotaToWire(quota, value, api) };
    },
  });
}

function listAction(name: string, values: Values): QuotasAction {
  return defineAction({
    name,
    input: structure({ ServiceCode: required(code), ...pageMembers }),
    async handle({ ServiceCode, NextToken, MaxResults = 100 }, api) {
      requireService(ServiceCode);
      const page = await paginate(
        api.pageTokens,
        { operation: name, filter: {} },
        { maxResults: MaxResults, ...(NextToken === undefined ? {} : { nextToken: NextToken }) },
        async (request) => pageOf(sorted, (quota) => quota.code, request),
        (quota) => ({ quota, value: values(quota, api) }),
      );
      const found = page.items.flatMap(({ quota, value }) =>
        value === undefined ? [] : [quotaToWire(quota, value, api)],
      );
      return { Quotas: found, ...(page.nextToken === null ? {} : { NextToken: page.nextToken }) };
    },
  });
}

const sorted = quotas.toSorted((a, b) => (a.code < b.code ? -1 : 1));

function requireService(given: string): void {
  if (given !== serviceCode) {
    throw new NoSuchQuotaError(`The request failed because the specified service does not exist: ${given}`);
  }
}

function quotaToWire({ code: quotaCode, name, unit, adjustable }: Quota, value: number, api: Api): object {
  const { region, accountId } = api.options.realm;
  return {
    ServiceCode: serviceCode,
    ServiceName: 'AWS Lambda',
    QuotaArn: `arn:aws:servicequotas:${region}:${accountId}:${serviceCode}/${quotaCode}`,
    QuotaCode: quotaCode,
    QuotaName: name,
    Value: value,
    Unit: unit,
    Adjustable: adjustable,
    GlobalQuota: false,
  };
}
