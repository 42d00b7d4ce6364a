import { createHmac } from 'node:crypto';
import type { Caller } from '../authorization/access.ts';
import type { SignatureClaim } from '../sigv4/claim.ts';
import type { SignableRequest } from '../sigv4/http-request.ts';
import { SignatureError } from '../sigv4/signature-error.ts';
import { parseQuery, type QueryParameter, queryValue } from '../sigv4/uri.ts';
import { credentialOf, sameSecret, type VerifyOptions } from '../sigv4/verify.ts';

/**
 * URLs presigned with signature version 2, which boto3 and version 1 of the AWS CLI make unless they are told
 * otherwise. The signature covers method, path, sub-resources, `x-amz-` values, content type and the end.
 */

/** Parts of the query that say what a request is about, and so are signed. */
const subResources: ReadonlySet<string> = new Set([
  'acl',
  'cors',
  'delete',
  'lifecycle',
  'location',
  'logging',
  'notification',
  'partNumber',
  'policy',
  'requestPayment',
  'response-cache-control',
  'response-content-disposition',
  'response-content-encoding',
  'response-content-language',
  'response-content-type',
  'response-expires',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versionId',
  'versioning',
  'versions',
  'website',
]);

export function isOldPresigned({ query }: SignableRequest): boolean {
  return /(^|&)AWSAccessKeyId=/.test(query);
}

/** What such a URL says of its signature; whether it says enough is looked at with the rest. */
export function readOldPresigned(request: SignableRequest, region: string): SignatureClaim {
  const query = parseQuery(request.query);
  return {
    accessKeyId: queryValue(query, 'AWSAccessKeyId') ?? '',
    signature: queryValue(query, 'Signature') ?? '',
    scope: { date: '', region, service: 's3' },
    signedHeaders: [],
    timestamp: queryValue(query, 'Expires') ?? '',
    signedAt: 0,
    sessionToken: queryValue(query, 'x-amz-security-token'),
    expiresInSeconds: undefined,
  };
}

/**
 * Checks the signature of such a URL.
 * @throws {SignatureError}
 */
export async function verifyOldPresigned(
  request: SignableRequest,
  claim: SignatureClaim,
  { credentials, now }: Pick<VerifyOptions, 'credentials' | 'now'>,
): Promise<Caller> {
  const { accessKeyId, signature, timestamp: end } = claim;
  if (accessKeyId === '' || signature === '' || !/^\d{1,11}$/.test(end)) {
    throw new SignatureError(
      'incomplete',
      'Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters',
    );
  }
  const credential = await credentialOf(claim, credentials);
  const mac = createHmac('sha1', credential.secretAccessKey);
  const expected = mac.update(stringToSign(request)).digest('base64');
  if (!sameSecret(expected, signature)) {
    throw new SignatureError(
      'mismatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  }
  if (now > Number(end) * 1000) throw new SignatureError('expired', 'Request has expired');
  if (credential.expiresAt !== undefined && credential.expiresAt <= now) {
    throw new SignatureError('token-expired', 'The security token included in the request is expired');
  }
  return { principal: credential.principal, permissions: credential.permissions };
}

function stringToSign({ method, path, query: search, headers }: SignableRequest): string {
  const query = parseQuery(search);
  // What was signed as a header travels in the query as well as in the headers.
  const value = (name: string): string => headers.get(name) ?? queryValue(query, name) ?? '';
  const amazon = [...headers, ...query]
    .filter(([name]) => name.startsWith('x-amz-'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `${name}:${text.trim()}\n`);
  return [
    method,
    value('content-md5'),
    value('content-type'),
    queryValue(query, 'Expires') ?? '',
    amazon.join('') + path + subResourcesOf(query),
  ].join('\n');
}

function subResourcesOf(query: readonly QueryParameter[]): string {
  const signed = query
    .filter(([name]) => subResources.has(name))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => (value === '' ? name : `${name}=${value}`));
  return signed.length === 0 ? '' : `?${signed.join('&')}`;
}
