import type { ServerResponse } from 'node:http';
import type { ServiceError, ServiceErrorCode } from '../../errors.ts';

/** Which service's spelling an error follows; connectors belong to another one (spec section 1.9). */
export type Dialect = 'microvms' | 'core';

const layersInFront: readonly ServiceErrorCode[] = [
  'AccessDeniedException',
  'SerializationException',
  'RequestEntityTooLargeException',
];

/** How the connectors' service calls what others call otherwise. */
const coreNames: Partial<Readonly<Record<ServiceErrorCode, ServiceErrorCode>>> = {
  ConflictException: 'ResourceConflictException',
  InternalServerException: 'ServiceException',
  ThrottlingException: 'TooManyRequestsException',
};

/** Errors whose message is spelt with a capital (spec sections 1.1 and 1.9). */
const capitalMessage: Readonly<Record<Dialect, ReadonlySet<ServiceErrorCode>>> = {
  microvms: new Set(layersInFront),
  core: new Set<ServiceErrorCode>([...layersInFront, 'ResourceNotFoundException', 'ServiceException']),
};

export function sendJson(response: ServerResponse, status: number, body: object | undefined): void {
  if (body === undefined) {
    response.writeHead(status).end();
    return;
  }
  const bytes = Buffer.from(JSON.stringify(body));
  response
    .writeHead(status, { 'content-type': 'application/json', 'content-length': bytes.length })
    .end(bytes);
}

export function sendServiceError(response: ServerResponse, error: ServiceError, dialect: Dialect): void {
  const core = dialect === 'core';
  const code = (core ? coreNames[error.code] : undefined) ?? error.code;
  response.setHeader('x-amzn-errortype', code);
  if (error.retryAfterSeconds !== undefined) {
    response.setHeader('retry-after', String(Math.ceil(error.retryAfterSeconds)));
  }
  const message = capitalMessage[dialect].has(code) ? { Message: error.message } : { message: error.message };
  sendJson(response, error.status, { ...(core ? coreMembers(code) : error.members), ...message });
}

/** Absent means absent here: the members that other errors have without a value are left out. */
function coreMembers(code: ServiceErrorCode): object {
  return code === 'TooManyRequestsException' ? { Reason: 'CallerRateLimitExceeded' } : {};
}
