import { createHash } from 'node:crypto';
import { clientTokenReused } from '../errors.ts';
import type { ClientToken } from '../model/client-token.ts';
import type { Store } from './database.ts';

export interface TokenClaim extends ClientToken {
  readonly scope: string;
  readonly parameters: unknown;
}

/** What a request claims by its client token; undefined when it has none. */
export function claimOf<Input extends { readonly clientToken?: ClientToken | undefined }>(
  scope: string,
  input: Input,
  more: Readonly<Record<string, string>> = {},
): TokenClaim | undefined {
  const { clientToken, ...parameters } = input;
  return clientToken && { ...clientToken, scope, parameters: { ...parameters, ...more } };
}

/**
 * What an earlier request with the same client token made (spec section 1.7).
 * @throws {ServiceError} ConflictException when its parameters were others
 */
export async function findClaim(store: Store, claim: TokenClaim): Promise<string | undefined> {
  const row = await store
    .selectFrom('client_tokens')
    .select(['parameters_digest', 'resource'])
    .where('principal', 'in', namesOf(claim.principal))
    .where('scope', '=', claim.scope)
    .where('token', '=', claim.token)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  if (row.parameters_digest !== digest(claim.parameters)) throw clientTokenReused();
  return row.resource;
}

/** Remembers what a request made; call inside the transaction that makes it. */
export async function recordClaim(
  store: Store,
  claim: TokenClaim,
  resource: string,
  now: number,
): Promise<void> {
  await store
    .insertInto('client_tokens')
    .values({
      principal: claim.principal,
      scope: claim.scope,
      token: claim.token,
      parameters_digest: digest(claim.parameters),
      resource,
      created_at: now,
    })
    .execute();
}

/** Frees the tokens of a resource that is gone, so that they can be used anew. */
export async function dropClaims(store: Store, resource: string): Promise<void> {
  await store.deleteFrom('client_tokens').where('resource', '=', resource).execute();
}

/** Under which principals' names a principal's tokens may be. */
function namesOf(principal: string): readonly string[] {
  return principal.endsWith(':root') ? [principal, ''] : [principal];
}

function digest(parameters: unknown): string {
  return createHash('sha256').update(canonicalJson(parameters)).digest('hex');
}

/** JSON with sorted keys, so that equal parameters have equal digests whatever their order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}
