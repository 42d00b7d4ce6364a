import type { ClaimedExchange } from './http/exchange.ts';
import type { Api } from './operation.ts';
import { sha256Hex } from './sigv4/canonical.ts';
import { SignatureError } from './sigv4/signature-error.ts';
import { sameSecret, type VerifiedSignature, verifySignature } from './sigv4/verify.ts';

/** Region that requests to the service's global parts are signed for. */
const globalRegion = 'us-east-1';

/**
 * Verifies a request whose whole body was read.
 * @param scope `global` for services that are the same in all regions
 * @throws {SignatureError}
 */
export async function authenticate(
  exchange: ClaimedExchange,
  body: Buffer,
  api: Api,
  scope: 'regional' | 'global' = 'regional',
): Promise<VerifiedSignature> {
  const { request, claim } = exchange;
  const isGlobal = scope === 'global' && claim.scope.region === globalRegion;
  const hash = sha256Hex(body);
  const stated = request.headers.get('x-amz-content-sha256');
  if (stated !== undefined && !sameSecret(stated, hash)) {
    throw new SignatureError(
      'payload',
      "The provided 'x-amz-content-sha256' header does not match what was computed.",
    );
  }
  return verifySignature(request, claim, hash, {
    credentials: api.credentials,
    region: isGlobal ? globalRegion : api.options.realm.region,
    now: api.options.clock.now(),
  });
}
