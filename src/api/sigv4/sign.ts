import {
  algorithm,
  type CredentialScope,
  canonicalRequest,
  scopeText,
  sha256Hex,
  sign,
  signingKey,
  stringToSign,
  timestampOf,
} from './canonical.ts';
import type { SignableRequest } from './http-request.ts';
import { uriEncode } from './uri.ts';

export interface SigningCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
}

export interface SigningOptions {
  readonly credentials: SigningCredentials;
  readonly region: string;
  /** Signing name: `lambda`, `s3`, `sts`, `logs`. */
  readonly service: string;
  /** Epoch milliseconds; now when absent. */
  readonly time?: number | undefined;
}

export interface RequestToSign {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** The body, or the hash or marker that stands for one that is streamed. */
  readonly body?: string | Uint8Array | { readonly hash: string } | undefined;
}

/** Headers to send so that the request is signed: the given ones in lower case, and those of the signature. */
export function signRequest(request: RequestToSign, options: SigningOptions): Record<string, string> {
  const timestamp = timestampOf(options.time ?? Date.now());
  const scope: CredentialScope = {
    date: timestamp.slice(0, 8),
    region: options.region,
    service: options.service,
  };
  const payloadHash = hashOf(request.body);
  const { sessionToken } = options.credentials;
  const headers = new Map([
    ...Object.entries(request.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value] as const),
    ['host', request.url.host] as const,
    ['x-amz-date', timestamp] as const,
    ['x-amz-content-sha256', payloadHash] as const,
    ...(sessionToken === undefined ? [] : [['x-amz-security-token', sessionToken] as const]),
  ]);
  const signedHeaders = [...headers.keys()].sort();
  const canonical = canonicalRequest(view(request, headers), scope, signedHeaders, payloadHash);
  const key = signingKey(options.credentials.secretAccessKey, scope);
  const signature = sign(key, stringToSign(timestamp, scope, canonical));
  headers.set(
    'authorization',
    `${algorithm} Credential=${options.credentials.accessKeyId}/${scopeText(scope)}, ` +
      `SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`,
  );
  return Object.fromEntries(headers);
}

/** A URL anyone can use for `expiresInSeconds` (at most a week); only its host header is signed. */
export function presignUrl(
  request: Pick<RequestToSign, 'method' | 'url'>,
  options: SigningOptions & { readonly expiresInSeconds: number },
): URL {
  const timestamp = timestampOf(options.time ?? Date.now());
  const scope: CredentialScope = {
    date: timestamp.slice(0, 8),
    region: options.region,
    service: options.service,
  };
  const { accessKeyId, secretAccessKey, sessionToken } = options.credentials;
  const parameters = [
    ['X-Amz-Algorithm', algorithm],
    ['X-Amz-Credential', `${accessKeyId}/${scopeText(scope)}`],
    ['X-Amz-Date', timestamp],
    ['X-Amz-Expires', String(options.expiresInSeconds)],
    ['X-Amz-SignedHeaders', 'host'],
    ...(sessionToken === undefined ? [] : [['X-Amz-Security-Token', sessionToken]]),
  ].map(([name = '', value = '']) => `${name}=${uriEncode(value)}`);
  const url = new URL(request.url);
  url.search = [...(url.search === '' ? [] : [url.search.slice(1)]), ...parameters].join('&');
  const canonical = canonicalRequest(
    view({ method: request.method, url }, new Map([['host', url.host]])),
    scope,
    ['host'],
    'UNSIGNED-PAYLOAD',
  );
  const signature = sign(signingKey(secretAccessKey, scope), stringToSign(timestamp, scope, canonical));
  url.search = `${url.search.slice(1)}&X-Amz-Signature=${signature}`;
  return url;
}

function hashOf(body: RequestToSign['body']): string {
  if (typeof body === 'object' && 'hash' in body) return body.hash;
  return sha256Hex(body ?? '');
}

function view(
  request: Pick<RequestToSign, 'method' | 'url'>,
  headers: ReadonlyMap<string, string>,
): SignableRequest {
  return { method: request.method, path: request.url.pathname, query: request.url.search.slice(1), headers };
}
