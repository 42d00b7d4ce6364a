import { pageOf, paginate } from '../page-token.ts';
import { inQuery, integer, optional, required, text } from '../shapes/shape.ts';
import { element, type XmlNode } from '../xml/write.ts';
import type { IamCall } from './action.ts';

const namePattern = '[\\w+=,.@-]+';
const defaultPage = 100;

export const roleName = inQuery(required(text({ min: 1, max: 64, pattern: namePattern })), 'RoleName');
export const policyName = inQuery(required(text({ min: 1, max: 128, pattern: namePattern })), 'PolicyName');
export const policyArn = inQuery(required(text({ min: 20, max: 2048 })), 'PolicyArn');
export const document = text({ min: 1, max: 131_072 });
export const path = text({ min: 1, max: 512, pattern: '(/)|(/[!-~]+/)' });
export const sessionSeconds = integer({ min: 3600, max: 43_200 });
export const description = text({ min: 0, max: 1000, pattern: '[\\t\\n\\r -~\\u00a1-\\u00ff]*' });
export const pageMembers = {
  Marker: inQuery(optional(text({ min: 1, max: 4096 }))),
  MaxItems: inQuery(optional(integer({ min: 1, max: 1000 }))),
};

interface PageInput {
  readonly Marker?: string;
  readonly MaxItems?: number;
}

/** One page of a list as IAM answers have it. Items are sorted by their keys. */
export async function pageElements<Item>(
  { api }: IamCall,
  scope: { readonly operation: string; readonly filter: Readonly<Record<string, string | undefined>> },
  { Marker, MaxItems = defaultPage }: PageInput,
  items: readonly Item[],
  parts: {
    readonly name: string;
    readonly keyOf: (item: Item) => string;
    readonly element: (item: Item) => XmlNode;
  },
): Promise<XmlNode[]> {
  const page = await paginate(
    api.pageTokens,
    scope,
    { maxResults: MaxItems, ...(Marker === undefined ? {} : { nextToken: Marker }) },
    async (request) => pageOf(items, parts.keyOf, request),
    parts.element,
  );
  return [
    element(parts.name, page.items),
    element('IsTruncated', page.nextToken !== null),
    ...(page.nextToken === null ? [] : [element('Marker', page.nextToken)]),
  ];
}
