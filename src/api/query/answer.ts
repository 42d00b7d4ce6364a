import type { ServiceErrorCode } from '../../errors.ts';
import { ServiceError } from '../../errors.ts';
import { authenticate } from '../authenticate.ts';
import { discardBody, readBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import type { Members } from '../shapes/shape.ts';
import { SignatureError, type SignatureFault } from '../sigv4/signature-error.ts';
import { parseQuery, type QueryParameter, queryValue } from '../sigv4/uri.ts';
import type { VerifiedSignature } from '../sigv4/verify.ts';
import { checkInput } from '../validation/check.ts';
import { readInput } from '../validation/read.ts';
import { element, type XmlNode, xmlDocument } from '../xml/write.ts';

/** An action as its request names it. */
export interface QueryAction {
  readonly name: string;
  readonly members: Members;
}

/** A refusal as the XML of the protocol has it. */
export interface QueryRefusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** A request that was verified, with what its form says besides the members of the action. */
export interface QueryCall {
  readonly api: Api;
  readonly exchange: ClaimedExchange;
  readonly caller: VerifiedSignature;
  readonly form: readonly QueryParameter[];
}

/** One service that speaks the query protocol: form in, XML out. */
export interface QueryService<Action extends QueryAction> {
  readonly namespace: string;
  readonly scope: 'regional' | 'global';
  readonly actions: readonly Action[];
  /** Children of the result; undefined for an action that has none. */
  perform(action: Action, input: Record<string, unknown>, call: QueryCall): Promise<XmlNode[] | undefined>;
  /** What the service's own errors are on the wire; undefined for other errors. */
  describe(error: unknown): QueryRefusal | undefined;
}

/** Answers a request to a service of the query protocol; rejects with failures that are ours. */
export async function answerQuery<Action extends QueryAction>(
  exchange: ClaimedExchange,
  api: Api,
  service: QueryService<Action>,
): Promise<void> {
  try {
    sendQueryXml(exchange, 200, await perform(exchange, api, service));
  } catch (error) {
    const refusal = service.describe(error) ?? describeCommon(error);
    if (refusal === undefined) throw error;
    await refuseQuery(exchange, service.namespace, refusal);
  }
}

async function perform<Action extends QueryAction>(
  exchange: ClaimedExchange,
  api: Api,
  service: QueryService<Action>,
): Promise<XmlNode> {
  const { message, request, requestId } = exchange;
  const body = await readBody(message);
  const caller = await authenticate(exchange, body, api, service.scope);
  const form = [...parseQuery(body.toString('utf8')), ...parseQuery(request.query)];
  const name = queryValue(form, 'Action') ?? '';
  const action = service.actions.find((candidate) => candidate.name === name);
  if (action === undefined) {
    throw new ServiceError('UnknownOperationException', `Could not find operation ${name}`);
  }
  exchange.subject.operation = name;
  const input = readInput(action.members, { path: new Map(), query: form, body: undefined });
  checkInput(action.members, input, { profile: api.options.profile, limits: api.limits });
  const result = await service.perform(action, input, { api, exchange, caller, form });
  const metadata = element('ResponseMetadata', [element('RequestId', requestId)]);
  return element(
    `${name}Response`,
    result === undefined ? [metadata] : [element(`${name}Result`, result), metadata],
    { xmlns: service.namespace },
  );
}

/** Answers with an error of the protocol. */
export async function refuseQuery(
  exchange: ClaimedExchange,
  namespace: string,
  refusal: QueryRefusal,
): Promise<void> {
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
  sendQueryXml(exchange, refusal.status, document);
}

/** The protocol's names for what can be wrong with a signature. */
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
function describeCommon(error: unknown): QueryRefusal | undefined {
  if (error instanceof SignatureError) {
    return { status: 403, code: signatureCodes[error.fault], message: error.message };
  }
  if (!(error instanceof ServiceError)) return undefined;
  const code = serviceCodes[error.code];
  if (code === undefined) return undefined;
  return { status: code === 'AccessDenied' ? 403 : 400, code, message: error.message };
}

function sendQueryXml({ response }: ClaimedExchange, status: number, document: XmlNode): void {
  const bytes = Buffer.from(xmlDocument(document));
  response.writeHead(status, { 'content-type': 'text/xml', 'content-length': bytes.length }).end(bytes);
}
