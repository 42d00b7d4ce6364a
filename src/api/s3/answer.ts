import { describeStorageFailure } from '../../model/storage-failure.ts';
import { invalidUri, S3Error, type S3ErrorCode } from '../../s3/s3-error.ts';
import { discardBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { SignatureError, type SignatureFault } from '../sigv4/signature-error.ts';
import { parseQuery, queryValue } from '../sigv4/uri.ts';
import { verifySignature } from '../sigv4/verify.ts';
import { requireAccess } from './authorize.ts';
import { isOldPresigned, verifyOldPresigned } from './old-presigned.ts';
import { sendS3Error } from './respond.ts';
import { findS3Operation } from './routes.ts';
import { header, query, type S3Request, splitPath } from './s3-request.ts';

/** Answers a request to the artifact bucket; rejects only with what is nobody's but our fault. */
export async function answerS3(exchange: ClaimedExchange, api: Api): Promise<void> {
  exchange.response.setHeader('x-amz-request-id', exchange.requestId);
  try {
    const request = await verify(exchange, api);
    const { action, answer } = findS3Operation(request);
    exchange.subject.operation = action?.slice('s3:'.length) ?? 'DeleteObjects';
    for (const needed of actionsOf(request, action)) requireAccess(request, needed, request);
    await answer(request);
  } catch (error) {
    // A client that left or broke off has nobody to be told.
    if (exchange.signal.aborted || exchange.message.errored !== null) {
      exchange.response.destroy();
      return;
    }
    const refusal = asS3Error(error, exchange, api);
    if (exchange.response.headersSent) {
      exchange.response.destroy();
      return;
    }
    await discardBody(exchange.message);
    sendS3Error(exchange, refusal);
  }
}

/**
 * All that a request has to be allowed. Whoever names a version may do what is asked with versions as well: the only
 * version is the object itself.
 */
function actionsOf(request: S3Request, action: string | undefined): readonly string[] {
  if (action === undefined) return [];
  const versioned = versionedActions[action];
  const onVersion = versioned !== undefined && query(request, 'versionId') !== undefined;
  const withTags = action === 's3:PutObject' && header(request, 'x-amz-tagging') !== undefined;
  return [action, ...(onVersion ? [versioned] : []), ...(withTags ? ['s3:PutObjectTagging'] : [])];
}

const versionedActions: Readonly<Record<string, string>> = {
  's3:GetObject': 's3:GetObjectVersion',
  's3:DeleteObject': 's3:DeleteObjectVersion',
  's3:GetObjectTagging': 's3:GetObjectVersionTagging',
  's3:PutObjectTagging': 's3:PutObjectVersionTagging',
  's3:DeleteObjectTagging': 's3:DeleteObjectVersionTagging',
};

async function verify(exchange: ClaimedExchange, api: Api): Promise<S3Request> {
  const { request, claim } = exchange;
  const queryParameters = parseQuery(request.query);
  if (/%00/.test(request.query)) throw invalidUri();
  const place = splitPath(request.path);
  const checks = {
    credentials: api.credentials,
    region: api.options.realm.region,
    now: api.options.clock.now(),
  };
  if (isOldPresigned(request)) {
    const caller = await verifyOldPresigned(request, claim, checks);
    const signature = { payloadHash: 'UNSIGNED-PAYLOAD', signingKey: Buffer.alloc(0) };
    return { ...exchange, api, caller, ...place, queryParameters, ...signature };
  }
  const stated =
    request.headers.get('x-amz-content-sha256') ?? queryValue(queryParameters, 'X-Amz-Content-Sha256');
  const payloadHash = stated ?? (claim.expiresInSeconds === undefined ? undefined : 'UNSIGNED-PAYLOAD');
  if (payloadHash === undefined) {
    throw new S3Error('InvalidRequest', 'Missing required header for this request: x-amz-content-sha256');
  }
  const { signingKey, ...caller } = await verifySignature(request, claim, payloadHash, checks);
  return { ...exchange, api, caller, ...place, queryParameters, payloadHash, signingKey };
}

/** S3's names for what can be wrong with a signature. */
const codes: Readonly<Record<SignatureFault, S3ErrorCode>> = {
  missing: 'AccessDenied',
  incomplete: 'AuthorizationHeaderMalformed',
  'unknown-key': 'InvalidAccessKeyId',
  'token-invalid': 'InvalidToken',
  'token-expired': 'ExpiredToken',
  scope: 'AuthorizationHeaderMalformed',
  clock: 'RequestTimeTooSkewed',
  expired: 'AccessDenied',
  mismatch: 'SignatureDoesNotMatch',
  payload: 'XAmzContentSHA256Mismatch',
  'unsigned-headers': 'AccessDenied',
};

function asS3Error(error: unknown, exchange: ClaimedExchange, api: Api): S3Error {
  if (error instanceof S3Error) return error;
  if (error instanceof SignatureError) return signatureRefusal(error, exchange, api);
  api.options.reportFault(error, exchange.requestId);
  const why = describeStorageFailure(error);
  return new S3Error(
    'InternalError',
    `${why === undefined ? 'We encountered an internal error' : `The server cannot store anything: ${why}`}. Please try again.`,
    {},
    { cause: error },
  );
}

function signatureRefusal(error: SignatureError, { claim }: ClaimedExchange, api: Api): S3Error {
  if (error.fault === 'unknown-key') {
    return new S3Error(
      'InvalidAccessKeyId',
      'The AWS Access Key Id you provided does not exist in our records.',
      {
        AWSAccessKeyId: claim.accessKeyId,
      },
    );
  }
  // Clients read the right region from it and try again.
  const details = error.fault === 'scope' ? { Region: api.options.realm.region } : {};
  return new S3Error(codes[error.fault], error.message, details);
}
