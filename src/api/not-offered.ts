import { encodeCbor } from './cbor/encode.ts';
import { discardBody } from './http/body.ts';
import type { ClaimedExchange } from './http/exchange.ts';
import { parseQuery, queryValue } from './sigv4/uri.ts';
import { element, xmlDocument } from './xml/write.ts';

/** Services that answer in XML though a request does not show it. */
const restXml: ReadonlySet<string> = new Set(['cloudfront', 'route53', 's3express', 's3-outposts']);

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Buffer;
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * Tells a client of a service that there is no such service, in the protocol that the client reads: what it cannot
 * read it would report as a broken answer, or try again. Nothing was verified, and nothing is told.
 * @param offered names that requests can be signed for
 */
export async function refuseService(exchange: ClaimedExchange, offered: Iterable<string>): Promise<void> {
  const { message, response, claim } = exchange;
  const service = /^[\w.-]{1,64}$/.test(claim.scope.service) ? claim.scope.service : 'that service';
  const text = `${service} is not offered here. This server answers for ${[...offered].join(', ')}.`;
  const { status, contentType, body, headers = {} } = answerFor(exchange, service, text);
  await discardBody(message);
  if (!message.complete) response.setHeader('connection', 'close');
  response
    .writeHead(status, { 'content-type': contentType, 'content-length': body.length, ...headers })
    .end(body);
}

function answerFor(exchange: ClaimedExchange, service: string, text: string): Answer {
  const { request, requestId } = exchange;
  const contentType = request.headers.get('content-type') ?? '';
  const error = { __type: 'UnknownOperationException', message: text };
  if (request.headers.get('smithy-protocol') === 'rpc-v2-cbor') {
    const headers = { 'smithy-protocol': 'rpc-v2-cbor' };
    return { status: 400, contentType: 'application/cbor', body: encodeCbor(error), headers };
  }
  if (request.headers.has('x-amz-target')) {
    const type = /^application\/x-amz-json-1\.[01]$/.exec(contentType)?.[0] ?? 'application/x-amz-json-1.0';
    return { status: 400, contentType: type, body: Buffer.from(JSON.stringify(error)) };
  }
  const isForm = contentType.startsWith('application/x-www-form-urlencoded');
  const isQuery = isForm || queryValue(parseQuery(request.query), 'Action') !== undefined;
  if (isQuery || restXml.has(service)) {
    const code = isQuery ? 'InvalidAction' : 'NotImplemented';
    const details = element('Error', [
      element('Type', 'Sender'),
      element('Code', code),
      element('Message', text),
    ]);
    const document =
      service === 'ec2'
        ? element('Response', [element('Errors', [details]), element('RequestID', requestId)])
        : element('ErrorResponse', [details, element('RequestId', requestId)]);
    return { status: 400, contentType: 'text/xml', body: Buffer.from(xmlDocument(document)) };
  }
  const headers = { 'x-amzn-errortype': error.__type };
  const body = Buffer.from(JSON.stringify({ message: text }));
  return { status: 404, contentType: 'application/json', body, headers };
}
