import type { ServerResponse } from 'node:http';
import type { ServiceError, ServiceErrorCode } from '../../errors.ts';

/** Errors whose message the service spells with a capital: those of layers in front of it (spec section 1.1). */
const capitalMessage: ReadonlySet<ServiceErrorCode> = new Set([
  'AccessDeniedException',
  'SerializationException',
  'RequestEntityTooLargeException',
]);

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

export function sendServiceError(response: ServerResponse, error: ServiceError): void {
  response.setHeader('x-amzn-errortype', error.code);
  if (error.retryAfterSeconds !== undefined) {
    response.setHeader('retry-after', String(Math.ceil(error.retryAfterSeconds)));
  }
  const message = capitalMessage.has(error.code) ? { Message: error.message } : { message: error.message };
  sendJson(response, error.status, { ...error.members, ...message });
}
