import type { TokenClaim } from '../store/client-tokens.ts';
import type { ImageInput } from './image-service.ts';

/** What a call claims by its client token; undefined when it has none. */
export function claimOf(
  scope: string,
  input: ImageInput,
  more: Readonly<Record<string, string>> = {},
): TokenClaim | undefined {
  const { clientToken: token, ...parameters } = input;
  return token === undefined ? undefined : { scope, token, parameters: { ...parameters, ...more } };
}
