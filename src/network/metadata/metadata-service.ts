import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../model/clock.ts';
import type { Microvm } from '../../model/microvm.ts';
import type { GuestService } from '../egress/guest-egress.ts';
import { TokenBucket } from '../token-bucket.ts';
import { longestTokenSeconds, type MetadataTokens } from './metadata-tokens.ts';
import { type MetadataNode, metadataTree, readMetadata } from './metadata-tree.ts';
import type { ExecutionRoleCredentials } from './role-credentials.ts';

/** Where guests find it. */
export const metadataAddress = '169.254.169.254:80';

const headerBytes = 8 * 1024;
const headerCount = 64;
const longestPath = 256;
/** A connection lasts no longer, whatever comes on it. */
const connectionMs = 60_000;
/** Of one guest: connections at once, and requests a second in the long run and at once. */
const connectionLimit = 32;
const requestsPerSecond = 50;
const requestBurst = 200;

const ttlHeader = 'x-aws-ec2-metadata-token-ttl-seconds';
const tokenHeader = 'x-aws-ec2-metadata-token';

export interface MetadataServiceOptions {
  readonly tokens: MetadataTokens;
  readonly credentials: ExecutionRoleCredentials;
  readonly region: string;
  readonly accountId: string;
  readonly clock: Pick<Clock, 'now'>;
  /** Told why a role's credentials could not be had. */
  readonly onFailure: (microvmId: string, error: unknown) => void;
}

/** The metadata service, version 2 (spec section 8): what a microVM can ask about itself, with a session token. */
export interface MetadataService {
  /** Serves the connections of one microVM. */
  forGuest(microvm: Microvm): GuestService;
}

interface Guest {
  readonly microvm: Microvm;
  readonly tree: MetadataNode;
  readonly bucket: TokenBucket;
}

interface Reply {
  readonly status: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function createMetadataService(options: MetadataServiceOptions): MetadataService {
  const { tokens, credentials, region, accountId, clock, onFailure } = options;
  const guests = new WeakMap<Duplex, Guest>();

  async function reply(request: IncomingMessage, { microvm, tree, bucket }: Guest): Promise<Reply> {
    if (!bucket.take()) return { status: 429 };
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (path.length > longestPath || !path.startsWith('/')) return { status: 400 };
    if (request.method === 'PUT') {
      if (path !== '/latest/api/token') return { status: 405 };
      return issueToken(request, microvm);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return { status: 405 };
    const token = request.headers[tokenHeader];
    if (typeof token !== 'string' || !tokens.verifies(token, microvm.microvmId, clock.now())) {
      return { status: 401 };
    }
    const body = await readMetadata(tree, path);
    return body === undefined ? { status: 404 } : { status: 200, body };
  }

  /** A request that a proxy in the guest has passed on gets no token, as at EC2. */
  function issueToken(request: IncomingMessage, { microvmId }: Microvm): Reply {
    if (request.headers['x-forwarded-for'] !== undefined) return { status: 403 };
    const seconds = String(request.headers[ttlHeader] ?? '');
    if (!/^\d{1,5}$/.test(seconds) || Number(seconds) < 1 || Number(seconds) > longestTokenSeconds) {
      return { status: 400 };
    }
    const body = tokens.issue(microvmId, clock.now() + Number(seconds) * 1000);
    return { status: 200, body, headers: { [ttlHeader]: seconds } };
  }

  const server = http.createServer({ maxHeaderSize: headerBytes }, (request, response) => {
    const guest = guests.get(request.socket);
    if (guest === undefined) {
      request.socket.destroy();
      return;
    }
    reply(request, guest).then(
      (answer) => send(request, response, answer),
      (error: unknown) => {
        onFailure(guest.microvm.microvmId, error);
        send(request, response, { status: 503 });
      },
    );
  });
  server.maxHeadersCount = headerCount;
  server.on('clientError', (_error, socket) => socket.destroy());

  return {
    forGuest(microvm) {
      const { executionRoleArn } = microvm;
      const guest: Guest = {
        microvm,
        bucket: new TokenBucket(requestsPerSecond, requestBurst),
        tree: metadataTree({
          microvm,
          region,
          accountId,
          credentials:
            executionRoleArn === null ? undefined : () => credentials.of(microvm, executionRoleArn),
        }),
      };
      let connections = 0;
      return (stream) => {
        if (connections >= connectionLimit) {
          stream.destroy();
          return;
        }
        connections += 1;
        const timer = setTimeout(() => stream.destroy(), connectionMs);
        stream.once('close', () => {
          clearTimeout(timer);
          connections -= 1;
        });
        guests.set(stream, guest);
        server.emit('connection', stream);
      };
    },
  };
}

function send(request: IncomingMessage, response: ServerResponse, { status, body, headers }: Reply): void {
  const text = body ?? http.STATUS_CODES[status] ?? '';
  // What has not been read of a body would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  response
    .writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      ...headers,
    })
    .end(text);
}
