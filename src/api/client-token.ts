import type { ClientToken } from '../model/client-token.ts';
import type { Call } from './operation.ts';

/** A request's client token as its principal's own. */
export function ownClientToken(token: string, call: Call): ClientToken;
export function ownClientToken(token: string | undefined, call: Call): ClientToken | undefined;
export function ownClientToken(token: string | undefined, call: Call): ClientToken | undefined {
  return token === undefined ? undefined : { principal: call.principal.arn, token };
}
