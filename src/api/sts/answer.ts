import { authenticate } from '../authenticate.ts';
import { discardBody, readBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { SignatureError } from '../sigv4/signature-error.ts';
import { parseQuery, queryValue } from '../sigv4/uri.ts';
import { element, type XmlNode, xmlDocument } from '../xml/write.ts';

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';

/** Answers the STS query protocol: form in, XML out. */
export async function answerSts(exchange: ClaimedExchange, api: Api): Promise<void> {
  const { message, response, requestId, request } = exchange;
  try {
    const body = await readBody(message);
    const { principal } = await authenticate(exchange, body, api);
    const action = queryValue([...parseQuery(body.toString('utf8')), ...parseQuery(request.query)], 'Action');
    if (action !== 'GetCallerIdentity') {
      send(
        exchange,
        400,
        errorDocument('InvalidAction', `Could not find operation ${action ?? ''}`, requestId),
      );
      return;
    }
    const result = element('GetCallerIdentityResult', [
      element('Arn', principal.arn),
      element('UserId', principal.userId),
      element('Account', principal.accountId),
    ]);
    const metadata = element('ResponseMetadata', [element('RequestId', requestId)]);
    send(exchange, 200, element('GetCallerIdentityResponse', [result, metadata], { xmlns: namespace }));
  } catch (error) {
    if (!(error instanceof SignatureError)) throw error;
    await discardBody(message);
    if (!message.complete) response.setHeader('connection', 'close');
    send(exchange, 403, errorDocument(stsCode(error), error.message, requestId));
  }
}

function stsCode(error: SignatureError): string {
  switch (error.fault) {
    case 'unknown-key':
    case 'token-invalid':
      return 'InvalidClientTokenId';
    case 'token-expired':
      return 'ExpiredToken';
    case 'missing':
      return 'MissingAuthenticationToken';
    case 'incomplete':
      return 'IncompleteSignature';
    default:
      return 'SignatureDoesNotMatch';
  }
}

function errorDocument(code: string, message: string, requestId: string): XmlNode {
  const details = element('Error', [
    element('Type', 'Sender'),
    element('Code', code),
    element('Message', message),
  ]);
  return element('ErrorResponse', [details, element('RequestId', requestId)], { xmlns: namespace });
}

function send({ response }: ClaimedExchange, status: number, document: XmlNode): void {
  const bytes = Buffer.from(xmlDocument(document));
  response.writeHead(status, { 'content-type': 'text/xml', 'content-length': bytes.length }).end(bytes);
}
