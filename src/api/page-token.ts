import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { validation } from '../errors.ts';
import type { Page, PageRequest } from '../model/page.ts';

const cipher = 'aes-256-gcm';
const ivLength = 12;
const tagLength = 16;
const longestToken = 4096;
/** Unrecorded; the service's largest page. */
const defaultPageSize = 50;

/** What a token belongs to: the operation and everything that selects what it lists. */
export interface TokenScope {
  readonly operation: string;
  readonly filter: Readonly<Record<string, string | undefined>>;
}

/** Turns positions in a list into opaque tokens and back. */
export interface PageTokens {
  seal(position: string, scope: TokenScope): string;
  /** @throws {ServiceError} ValidationException for a token that is not ours or belongs to another list */
  open(token: string, scope: TokenScope): string;
}

/** @param key 32 secret bytes; tokens live as long as it does */
export function createPageTokens(key: Buffer): PageTokens {
  return {
    seal(position, scope) {
      const iv = randomBytes(ivLength);
      const sealing = createCipheriv(cipher, key, iv).setAAD(scopeBytes(scope));
      const body = Buffer.concat([sealing.update(position, 'utf8'), sealing.final()]);
      return Buffer.concat([iv, sealing.getAuthTag(), body]).toString('base64url');
    },

    open(token, scope) {
      const bytes = Buffer.from(token.slice(0, longestToken), 'base64url');
      if (token.length > longestToken || bytes.length < ivLength + tagLength) throw invalidToken();
      const opening = createDecipheriv(cipher, key, bytes.subarray(0, ivLength), { authTagLength: tagLength })
        .setAAD(scopeBytes(scope))
        .setAuthTag(bytes.subarray(ivLength, ivLength + tagLength));
      try {
        const body = opening.update(bytes.subarray(ivLength + tagLength));
        return Buffer.concat([body, opening.final()]).toString('utf8');
      } catch {
        throw invalidToken();
      }
    },
  };
}

/** Lists one page and wraps where the next one starts. `nextToken` is null on the last page (spec section 1.4). */
export async function paginate<Item, Wire>(
  tokens: PageTokens,
  scope: TokenScope,
  input: { readonly maxResults?: number; readonly nextToken?: string },
  read: (request: PageRequest) => Promise<Page<Item>>,
  toWire: (item: Item) => Wire,
): Promise<{ nextToken: string | null; items: Wire[] }> {
  const after = input.nextToken === undefined ? undefined : tokens.open(input.nextToken, scope);
  const page = await read({ limit: input.maxResults ?? defaultPageSize, after });
  return {
    nextToken: page.next === undefined ? null : tokens.seal(page.next, scope),
    items: page.items.map(toWire),
  };
}

/** A page of a list that is at hand as a whole; positions are the keys of its items. */
export function pageOf<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  request: PageRequest,
): Page<Item> {
  const start =
    request.after === undefined ? 0 : items.findIndex((item) => keyOf(item) === request.after) + 1;
  const from = request.after !== undefined && start === 0 ? items.length : start;
  const page = items.slice(from, from + request.limit);
  const last = page.at(-1);
  return {
    items: page,
    next: last !== undefined && from + page.length < items.length ? keyOf(last) : undefined,
  };
}

function scopeBytes(scope: TokenScope): Buffer {
  const filter = Object.entries(scope.filter).sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.from(JSON.stringify([scope.operation, filter]));
}

/** Unrecorded wording. */
function invalidToken(): Error {
  return validation('The nextToken is not valid for this request.');
}
