import { algorithm, type CredentialScope, parseTimestamp, timestampOf } from './canonical.ts';
import type { SignableRequest } from './http-request.ts';
import { SignatureError } from './signature-error.ts';
import { parseQuery, queryValue } from './uri.ts';

/** What a request says about its own signature, before any of it is believed. */
export interface SignatureClaim {
  readonly accessKeyId: string;
  readonly scope: CredentialScope;
  readonly signedHeaders: readonly string[];
  readonly signature: string;
  readonly timestamp: string;
  /** Epoch milliseconds of `timestamp`. */
  readonly signedAt: number;
  readonly sessionToken: string | undefined;
  /** Presigned URLs: seconds the signature stays valid. */
  readonly expiresInSeconds: number | undefined;
}

const longestPresign = 7 * 24 * 3600;

/**
 * Reads the signature of a request from its header or, for a presigned URL, from its query.
 * @throws {SignatureError} `missing` or `incomplete`
 */
export function readClaim(request: SignableRequest): SignatureClaim {
  const authorization = request.headers.get('authorization');
  if (authorization !== undefined) return readHeader(request, authorization);
  if (request.query.includes('X-Amz-')) return readPresigned(request);
  throw new SignatureError('missing', 'Missing Authentication Token');
}

function readHeader(request: SignableRequest, authorization: string): SignatureClaim {
  const space = authorization.indexOf(' ');
  if (space === -1 || authorization.slice(0, space) !== algorithm) {
    throw new SignatureError('missing', 'Missing Authentication Token');
  }
  const parts = new Map<string, string>();
  for (const part of authorization.slice(space + 1).split(',')) {
    const equals = part.indexOf('=');
    if (equals !== -1) parts.set(part.slice(0, equals).trim(), part.slice(equals + 1).trim());
  }
  const missing = ['Credential', 'Signature', 'SignedHeaders']
    .filter((name) => (parts.get(name) ?? '') === '')
    .map((name) => `Authorization header requires '${name}' parameter.`);
  const date = dateOf(request);
  if (date === undefined) {
    missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.");
  }
  if (missing.length > 0 || date === undefined) throw new SignatureError('incomplete', missing.join(' '));
  return {
    ...readCredential(parts.get('Credential') ?? ''),
    ...date,
    signedHeaders: (parts.get('SignedHeaders') ?? '').split(';'),
    signature: parts.get('Signature') ?? '',
    sessionToken: request.headers.get('x-amz-security-token'),
    expiresInSeconds: undefined,
  };
}

function readPresigned(request: SignableRequest): SignatureClaim {
  const query = parseQuery(request.query);
  const required = ['X-Amz-Credential', 'X-Amz-Signature', 'X-Amz-SignedHeaders', 'X-Amz-Date'];
  const missing = required
    .filter((name) => (queryValue(query, name) ?? '') === '')
    .map((name) => `AWS query-string parameters must include '${name}'.`);
  if (missing.length > 0) throw new SignatureError('incomplete', missing.join(' '));
  if (queryValue(query, 'X-Amz-Algorithm') !== algorithm) {
    throw new SignatureError('incomplete', `X-Amz-Algorithm only supports "${algorithm}"`);
  }
  const timestamp = queryValue(query, 'X-Amz-Date') ?? '';
  const signedAt = parseTimestamp(timestamp);
  if (signedAt === undefined) {
    throw new SignatureError(
      'incomplete',
      "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
    );
  }
  const expires = queryValue(query, 'X-Amz-Expires') ?? '';
  if (!/^\d{1,7}$/.test(expires) || Number(expires) < 1 || Number(expires) > longestPresign) {
    throw new SignatureError('incomplete', 'X-Amz-Expires must be a number of seconds from 1 to 604800');
  }
  return {
    ...readCredential(queryValue(query, 'X-Amz-Credential') ?? ''),
    signedHeaders: (queryValue(query, 'X-Amz-SignedHeaders') ?? '').split(';'),
    signature: queryValue(query, 'X-Amz-Signature') ?? '',
    timestamp,
    signedAt,
    sessionToken: queryValue(query, 'X-Amz-Security-Token'),
    expiresInSeconds: Number(expires),
  };
}

function readCredential(credential: string): Pick<SignatureClaim, 'accessKeyId' | 'scope'> {
  const parts = credential.split('/');
  const [terminator, service, region, date] = parts.slice(-4).reverse();
  const accessKeyId = parts.slice(0, -4).join('/');
  if (
    terminator !== 'aws4_request' ||
    service === undefined ||
    region === undefined ||
    date === undefined ||
    accessKeyId === ''
  ) {
    throw new SignatureError(
      'incomplete',
      'Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term',
    );
  }
  return { accessKeyId, scope: { date, region, service } };
}

function dateOf(request: SignableRequest): Pick<SignatureClaim, 'timestamp' | 'signedAt'> | undefined {
  const amzDate = request.headers.get('x-amz-date');
  if (amzDate !== undefined) {
    const signedAt = parseTimestamp(amzDate);
    return signedAt === undefined ? undefined : { timestamp: amzDate, signedAt };
  }
  const signedAt = Date.parse(request.headers.get('date') ?? '');
  return Number.isNaN(signedAt) ? undefined : { timestamp: timestampOf(signedAt), signedAt };
}
