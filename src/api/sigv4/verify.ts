import { timingSafeEqual } from 'node:crypto';
import type { Permissions } from '../../model/policy.ts';
import { canonicalRequest, sign, signingKey, stringToSign, timestampOf } from './canonical.ts';
import type { SignatureClaim } from './claim.ts';
import type { Credential, CredentialSource, Principal, SessionOrigin } from './credentials.ts';
import type { SignableRequest } from './http-request.ts';
import { SignatureError } from './signature-error.ts';

const clockSkewMs = 5 * 60 * 1000;

export interface VerifyOptions {
  readonly credentials: CredentialSource;
  readonly region: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** A request whose signature was right; the key goes on to sign the chunks of a streamed body. */
export interface VerifiedSignature {
  readonly principal: Principal;
  readonly permissions: Permissions;
  /** What is behind the request. */
  readonly origin: SessionOrigin;
  readonly signingKey: Buffer;
}

/**
 * Checks the signature of a request.
 * @param payloadHash hash of the body, or the marker that stands for it
 * @throws {SignatureError}
 */
export async function verifySignature(
  request: SignableRequest,
  claim: SignatureClaim,
  payloadHash: string,
  options: VerifyOptions,
): Promise<VerifiedSignature> {
  checkScope(claim, options.region);
  const credential = await credentialOf(claim, options.credentials);
  checkTime(claim, options.now);
  checkSignedHeaders(request, claim);
  const key = signingKey(credential.secretAccessKey, claim.scope);
  const canonical = canonicalRequest(request, claim.scope, claim.signedHeaders, payloadHash);
  const expected = sign(key, stringToSign(claim.timestamp, claim.scope, canonical));
  if (!sameSecret(expected, claim.signature)) {
    throw new SignatureError(
      'mismatch',
      'The request signature we calculated does not match the signature you provided. ' +
        'Check your AWS Secret Access Key and signing method. Consult the service documentation for details.',
    );
  }
  if (credential.expiresAt !== undefined && credential.expiresAt <= options.now) {
    throw new SignatureError('token-expired', 'The security token included in the request is expired');
  }
  const { principal, permissions, origin = { issuer: claim.accessKeyId } } = credential;
  return { principal, permissions, origin, signingKey: key };
}

/**
 * What the signature of a claim has to be made with.
 * @throws {SignatureError} the key is unknown, or the session token is not the key's
 */
export async function credentialOf(
  { accessKeyId, sessionToken }: Pick<SignatureClaim, 'accessKeyId' | 'sessionToken'>,
  credentials: CredentialSource,
): Promise<Credential> {
  const credential = await credentials.lookup(accessKeyId, sessionToken);
  const invalid = 'The security token included in the request is invalid.';
  if (credential === undefined) throw new SignatureError('unknown-key', invalid);
  if (!sameSecret(credential.sessionToken ?? '', sessionToken ?? '')) {
    throw new SignatureError('token-invalid', invalid);
  }
  return credential;
}

/** Compares in a time that depends on the lengths only. */
export function sameSecret(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

function checkScope(claim: SignatureClaim, region: string): void {
  if (claim.scope.region !== region) {
    throw new SignatureError(
      'scope',
      `Credential should be scoped to a valid region. This server is '${region}', not '${claim.scope.region}'.`,
    );
  }
  const date = claim.timestamp.slice(0, 8);
  if (claim.scope.date !== date) {
    throw new SignatureError(
      'mismatch',
      'Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: ' +
        `'${claim.scope.date}' != '${date}', from '${claim.timestamp}'.`,
    );
  }
}

function checkTime(claim: SignatureClaim, now: number): void {
  const { signedAt, timestamp, expiresInSeconds } = claim;
  const current = timestampOf(now);
  if (signedAt > now + clockSkewMs) {
    const latest = timestampOf(now + clockSkewMs);
    throw new SignatureError(
      'clock',
      `Signature not yet current: ${timestamp} is still later than ${latest} (${current} + 5 min.)`,
    );
  }
  if (expiresInSeconds !== undefined) {
    if (now > signedAt + expiresInSeconds * 1000) throw new SignatureError('expired', 'Request has expired');
    return;
  }
  if (signedAt < now - clockSkewMs) {
    const earliest = timestampOf(now - clockSkewMs);
    throw new SignatureError(
      'clock',
      `Signature expired: ${timestamp} is now earlier than ${earliest} (${current} - 5 min.)`,
    );
  }
}

/** An `x-amz-` header changes what a request means, so one that is not signed could have been added by anyone. */
function checkSignedHeaders(request: SignableRequest, claim: SignatureClaim): void {
  const signed = new Set(claim.signedHeaders);
  if (!signed.has('host')) {
    throw new SignatureError('incomplete', "'Host' must be a 'SignedHeader' in the AWS Authorization.");
  }
  const unsigned = [...request.headers.keys()].filter(
    (name) => name.startsWith('x-amz-') && !signed.has(name),
  );
  if (unsigned.length > 0) {
    throw new SignatureError(
      'unsigned-headers',
      `There were headers present in the request which were not signed: ${unsigned.join(', ')}`,
    );
  }
}
