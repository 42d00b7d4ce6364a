import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { test } from 'node:test';
import { SignatureV4 } from '@smithy/signature-v4';
import fc from 'fast-check';
import { emptyBodyHash, sha256Hex } from './canonical.ts';
import { readClaim } from './claim.ts';
import type { CredentialSource } from './credentials.ts';
import type { SignableRequest } from './http-request.ts';
import { presignUrl, signRequest } from './sign.ts';
import type { SignatureError, SignatureFault } from './signature-error.ts';
import { parseQuery, uriEncode } from './uri.ts';
import { verifySignature } from './verify.ts';

const now = Date.UTC(2026, 10, 23, 12);
const region = 'eu-west-1';
const keys = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const principal = {
  arn: 'arn:aws:iam::123456789012:root',
  accountId: '123456789012',
  userId: '123456789012',
};
const source: CredentialSource = {
  lookup: async (accessKeyId) =>
    accessKeyId === keys.accessKeyId
      ? { secretAccessKey: keys.secretAccessKey, principal, permissions: 'all' }
      : undefined,
};

/** The hash the official signer is given to work with. */
class Sha256 {
  readonly #hash;
  constructor(secret?: unknown) {
    this.#hash =
      secret === undefined
        ? createHash('sha256')
        : createHmac('sha256', secret as string | NodeJS.ArrayBufferView);
  }
  update(data: unknown): void {
    this.#hash.update(data as string | NodeJS.ArrayBufferView);
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }
  reset(): void {}
}

function officialSigner(service: string, sessionToken?: string): SignatureV4 {
  return new SignatureV4({
    service,
    region,
    sha256: Sha256,
    uriEscapePath: service !== 's3',
    applyChecksum: true,
    credentials: { ...keys, ...(sessionToken === undefined ? {} : { sessionToken }) },
  });
}

function wire(request: {
  method: string;
  path: string;
  query?: Record<string, unknown> | undefined;
  headers: Record<string, string>;
}): SignableRequest {
  const query = Object.entries(request.query ?? {}).flatMap(([name, value]) =>
    (Array.isArray(value) ? value : [value]).map((item) => `${uriEncode(name)}=${uriEncode(String(item))}`),
  );
  return {
    method: request.method,
    path: request.path,
    query: query.join('&'),
    headers: new Map(Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value])),
  };
}

function verify(
  request: SignableRequest,
  payloadHash: string,
  options: { now?: number; region?: string } = {},
) {
  return verifySignature(request, readClaim(request), payloadHash, {
    credentials: source,
    region,
    now,
    ...options,
  });
}

const word = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 12 })
  .filter((text) => text.isWellFormed());
const segment = word.map((text) => uriEncode(text)).filter((text) => text !== '.' && text !== '..');
const requests = fc.record({
  method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH'),
  segments: fc.array(segment, { maxLength: 4 }),
  query: fc.dictionary(
    word.filter((name) => name !== '__proto__' && !name.toLowerCase().startsWith('x-amz-')),
    fc.oneof(word, fc.array(word, { minLength: 1, maxLength: 3 })),
    { maxKeys: 4 },
  ),
  headers: fc.dictionary(
    fc.stringMatching(/^x-amz-[a-z]{1,8}$/).filter((name) => name !== 'x-amz-date'),
    fc.stringMatching(/^[ -~]{0,20}$/),
    { maxKeys: 3 },
  ),
  body: fc.string(),
  service: fc.constantFrom('lambda', 's3', 'sts'),
});

test('accepts what the official signer signs, and signs the same', async () => {
  await fc.assert(
    fc.asyncProperty(requests, async ({ method, segments, query, headers, body, service }) => {
      const unsigned = {
        protocol: 'http:',
        hostname: 'localhost:9090',
        method,
        path: `/${segments.join('/')}`,
        query,
        headers: { ...headers, host: 'localhost:9090' },
        body,
      };
      const signed = await officialSigner(service).sign(unsigned, { signingDate: new Date(now) });
      const request = wire({ ...unsigned, headers: signed.headers });
      const verified = await verify(request, sha256Hex(body));
      assert.deepEqual(verified.principal, principal);

      const url = new URL(`http://localhost:9090${request.path}?${request.query}`);
      const ours = signRequest(
        { method, url, headers, body },
        { credentials: keys, region, service, time: now },
      );
      assert.equal(ours.authorization, signed.headers.authorization);
    }),
    { numRuns: 300 },
  );
});

test('accepts presigned URLs of the official signer until they expire', async () => {
  await fc.assert(
    fc.asyncProperty(segment, fc.integer({ min: 1, max: 604_800 }), async (key, expiresIn) => {
      const presigned = await officialSigner('s3', 'a+token/==').presign(
        {
          protocol: 'http:',
          hostname: 'localhost',
          method: 'GET',
          path: `/bucket/${key}`,
          query: {},
          headers: { host: 'localhost' },
        },
        { signingDate: new Date(now), expiresIn },
      );
      const request = wire({ ...presigned, query: presigned.query ?? {} });
      const hash = parseQuery(request.query).find(([name]) => name === 'X-Amz-Content-Sha256')?.[1];
      const options = {
        credentials: {
          lookup: async () => ({
            secretAccessKey: keys.secretAccessKey,
            principal,
            permissions: 'all' as const,
            sessionToken: 'a+token/==',
          }),
        },
        region,
      };
      const claim = readClaim(request);
      const payload = hash ?? emptyBodyHash;
      await verifySignature(request, claim, payload, { ...options, now: now + expiresIn * 1000 });
      await assert.rejects(
        verifySignature(request, claim, payload, { ...options, now: now + expiresIn * 1000 + 1 }),
        fault('expired'),
      );
    }),
    { numRuns: 50 },
  );
});

test('accepts its own presigned URLs', async () => {
  const url = presignUrl(
    { method: 'PUT', url: new URL('http://localhost:9090/bucket/a%20key?partNumber=2') },
    { credentials: keys, region, service: 's3', time: now, expiresInSeconds: 60 },
  );
  const request: SignableRequest = {
    method: 'PUT',
    path: url.pathname,
    query: url.search.slice(1),
    headers: new Map([['host', url.host]]),
  };
  await verify(request, 'UNSIGNED-PAYLOAD');
  await assert.rejects(verify({ ...request, method: 'GET' }, 'UNSIGNED-PAYLOAD'), fault('mismatch'));
});

function signedGet(changes: { time?: number; service?: string; region?: string; secret?: string } = {}) {
  const url = new URL('http://localhost:9090/2025-09-09/microvms/microvm-1?maxResults=5');
  const headers = signRequest(
    { method: 'GET', url, headers: { 'x-amz-meta-a': 'b' } },
    {
      credentials: { ...keys, secretAccessKey: changes.secret ?? keys.secretAccessKey },
      region: changes.region ?? region,
      service: changes.service ?? 'lambda',
      time: changes.time ?? now,
    },
  );
  return wire({ method: 'GET', path: url.pathname, query: { maxResults: '5' }, headers });
}

test('refuses a request of which anything was changed', async () => {
  const request = signedGet();
  await verify(request, emptyBodyHash);
  const changed: readonly SignableRequest[] = [
    { ...request, method: 'DELETE' },
    { ...request, path: `${request.path}0` },
    { ...request, query: 'maxResults=6' },
    { ...request, headers: new Map([...request.headers, ['host', 'other']]) },
    { ...request, headers: new Map([...request.headers, ['x-amz-meta-a', 'c']]) },
  ];
  for (const other of changed) await assert.rejects(verify(other, emptyBodyHash), fault('mismatch'));
  await assert.rejects(verify(request, sha256Hex('body')), fault('mismatch'));
  await assert.rejects(verify(signedGet({ secret: 'other' }), emptyBodyHash), fault('mismatch'));
});

test('refuses an x-amz- header that was not signed', async () => {
  const request = signedGet();
  const other = { ...request, headers: new Map([...request.headers, ['x-amz-copy-source', '/b/k']]) };
  await assert.rejects(verify(other, emptyBodyHash), fault('unsigned-headers'));
});

test('allows clocks to differ by five minutes and says the time when they differ more', async () => {
  const minutes = 60_000;
  for (const skew of [-5 * minutes, 0, 5 * minutes]) {
    await verify(signedGet({ time: now + skew }), emptyBodyHash);
  }
  await assert.rejects(verify(signedGet({ time: now - 5 * minutes - 1000 }), emptyBodyHash), {
    fault: 'clock',
    message:
      'Signature expired: 20261123T115459Z is now earlier than 20261123T115500Z (20261123T120000Z - 5 min.)',
  });
  await assert.rejects(verify(signedGet({ time: now + 5 * minutes + 1000 }), emptyBodyHash), {
    fault: 'clock',
    message:
      'Signature not yet current: 20261123T120501Z is still later than 20261123T120500Z (20261123T120000Z + 5 min.)',
  });
});

test('refuses other regions, unknown keys and wrong session tokens', async () => {
  await assert.rejects(verify(signedGet({ region: 'eu-west-2' }), emptyBodyHash), fault('scope'));
  const unknown: CredentialSource = { lookup: async () => undefined };
  const request = signedGet();
  const claim = readClaim(request);
  await assert.rejects(
    verifySignature(request, claim, emptyBodyHash, { credentials: unknown, region, now }),
    fault('unknown-key'),
  );
  const temporary: CredentialSource = {
    lookup: async () => ({
      secretAccessKey: keys.secretAccessKey,
      principal,
      permissions: 'all',
      sessionToken: 'token',
    }),
  };
  await assert.rejects(
    verifySignature(request, claim, emptyBodyHash, { credentials: temporary, region, now }),
    fault('token-invalid'),
  );
});

test('refuses temporary credentials after their end', async () => {
  const expiring: CredentialSource = {
    lookup: async () => ({
      secretAccessKey: keys.secretAccessKey,
      principal,
      permissions: 'all',
      expiresAt: now,
    }),
  };
  const request = signedGet();
  const claim = readClaim(request);
  await verifySignature(request, claim, emptyBodyHash, { credentials: expiring, region, now: now - 1 });
  await assert.rejects(
    verifySignature(request, claim, emptyBodyHash, { credentials: expiring, region, now }),
    fault('token-expired'),
  );
});

test('says what a signature lacks', () => {
  const bare = { method: 'GET', path: '/', query: '' };
  const withHeader = (authorization: string) =>
    readClaim({ ...bare, headers: new Map([['authorization', authorization]]) });
  assert.throws(() => readClaim({ ...bare, headers: new Map() }), fault('missing'));
  assert.throws(() => withHeader('Bearer abc'), fault('missing'));
  assert.throws(() => withHeader('AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request'), {
    fault: 'incomplete',
    message:
      "Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. " +
      "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
  });
  assert.throws(
    () => readClaim({ ...bare, query: 'X-Amz-Signature=1', headers: new Map() }),
    fault('incomplete'),
  );
});

test('reads any header and query without failing otherwise than it should', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.string(), (authorization, query, date) => {
      const headers = new Map([
        ['authorization', `AWS4-HMAC-SHA256 ${authorization}`],
        ['x-amz-date', date],
      ]);
      for (const request of [
        { method: 'GET', path: '/', query, headers },
        { method: 'GET', path: '/', query: `X-Amz-Date=${query}`, headers: new Map() },
      ]) {
        try {
          readClaim(request);
        } catch (error) {
          assert.equal((error as SignatureError).name, 'SignatureError');
        }
      }
    }),
  );
});

function fault(name: SignatureFault): { fault: SignatureFault } {
  return { fault: name };
}
