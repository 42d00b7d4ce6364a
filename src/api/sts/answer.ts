import { ServiceError, type ServiceErrorCode } from '../../errors.ts';
import { authenticate } from '../authenticate.ts';
import { discardBody, readBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { SignatureError, type SignatureFault } from '../sigv4/signature-error.ts';
import { parseQuery, queryValue } from '../sigv4/uri.ts';
import { checkInput } from '../validation/check.ts';
import { readInput } from '../validation/read.ts';
import { element, type XmlNode, xmlDocument } from '../xml/write.ts';
import { stsActions } from './actions.ts';

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/';

/** Answers the STS query protocol: form in, XML out. */
export async function answerSts(exchange: ClaimedExchange, api: Api): Promise<void> {
  try {
    sendXml(exchange, 200, await perform(exchange, api));
  } catch (error) {
    const refusal = describe(error);
    if (refusal === undefined) throw error;
    const { message, response, requestId } = exchange;
    await discardBody(message);
    if (!message.complete) response.setHeader('connection', 'close');
    const details = element('Error', [
      element('Type', 'Sender'),
      element('Code', refusal.code),
      element('Message', refusal.message),
    ]);
    const document = element('ErrorResponse', [details, element('RequestId', requestId)], {
      xmlns: namespace,
    });
    sendXml(exchange, refusal.status, document);
  }
}

async function perform(exchange: ClaimedExchange, api: Api): Promise<XmlNode> {
  const { message, request, claim, requestId } = exchange;
  const body = await readBody(message);
  const { principal, permissions, origin } = await authenticate(exchange, body, api);
  const query = [...parseQuery(body.toString('utf8')), ...parseQuery(request.query)];
  const name = queryValue(query, 'Action') ?? '';
  const action = stsActions.find((candidate) => candidate.name === name);
  if (action === undefined) {
    throw new ServiceError('UnknownOperationException', `Could not find operation ${name}`);
  }
  exchange.subject.operation = name;
  const input = readInput(action.members, { path: new Map(), query, body: undefined });
  checkInput(action.members, input, { profile: api.options.profile, limits: api.limits });
  const result = await action.run(input, {
    principal,
    permissions,
    origin,
    roles: api.services.rolePolicies,
    temporary: claim.sessionToken !== undefined,
    sessions: api.sessions,
    now: api.options.clock.now(),
  });
  return element(
    `${name}Response`,
    [element(`${name}Result`, result), element('ResponseMetadata', [element('RequestId', requestId)])],
    { xmlns: namespace },
  );
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** STS's names for what can be wrong with a signature. */
const signatureCodes: Readonly<Record<SignatureFault, string>> = {
  missing: 'MissingAuthenticationToken',
  incomplete: 'IncompleteSignature',
  'unknown-key': 'InvalidClientTokenId',
  'token-invalid': 'InvalidClientTokenId',
  'token-expired': 'ExpiredToken',
  scope: 'SignatureDoesNotMatch',
  clock: 'SignatureDoesNotMatch',
  expired: 'SignatureDoesNotMatch',
  mismatch: 'SignatureDoesNotMatch',
  payload: 'SignatureDoesNotMatch',
  'unsigned-headers': 'SignatureDoesNotMatch',
};

const serviceCodes: Partial<Readonly<Record<ServiceErrorCode, string>>> = {
  AccessDeniedException: 'AccessDenied',
  SerializationException: 'MalformedInput',
  UnknownOperationException: 'InvalidAction',
  ValidationException: 'ValidationError',
};

/** Undefined for a failure that is ours. */
function describe(error: unknown): Refusal | undefined {
  if (error instanceof SignatureError) {
    return { status: 403, code: signatureCodes[error.fault], message: error.message };
  }
  if (!(error instanceof ServiceError)) return undefined;
  const code = serviceCodes[error.code];
  if (code === undefined) return undefined;
  return { status: code === 'AccessDenied' ? 403 : 400, code, message: error.message };
}

function sendXml({ response }: ClaimedExchange, status: number, document: XmlNode): void {
  const bytes = Buffer.from(xmlDocument(document));
  response.writeHead(status, { 'content-type': 'text/xml', 'content-length': bytes.length }).end(bytes);
}
