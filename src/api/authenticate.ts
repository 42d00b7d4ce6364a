import type { ClaimedExchange } from './http/exchange.ts';
import type { Api } from './operation.ts';
import { sha256Hex } from './sigv4/canonical.ts';
import { SignatureError } from './sigv4/signature-error.ts';
import { sameSecret, type VerifiedSignature, verifySignature } from './sigv4/verify.ts';

/**
 * Verifies a request whose whole body was read.
 * @throws {SignatureError}
 */
export async function authenticate(
  exchange: ClaimedExchange,
  body: Buffer,
  api: Api,
): Promise<VerifiedSignature> {
  const { request, claim } = exchange;
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
    region: api.options.realm.region,
    now: api.options.clock.now(),
  });
}
