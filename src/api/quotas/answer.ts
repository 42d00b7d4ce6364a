import { ServiceError } from '../../errors.ts';
import { signatureRefusal } from '../auth-errors.ts';
import { authenticate } from '../authenticate.ts';
import { findDenial } from '../authorization/access.ts';
import { accessDenied } from '../errors.ts';
import { discardBody, parseJsonBody, readBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { SignatureError } from '../sigv4/signature-error.ts';
import { checkInput } from '../validation/check.ts';
import { readInput } from '../validation/read.ts';
import { NoSuchQuotaError, quotasActions } from './actions.ts';

const targetPrefix = 'ServiceQuotasV20190624.';

/** Answers what is served of Service Quotas, in the AWS JSON 1.1 protocol. */
export async function answerQuotas(exchange: ClaimedExchange, api: Api): Promise<void> {
  try {
    send(exchange, 200, await perform(exchange, api));
  } catch (error) {
    const refusal = describe(error);
    if (refusal === undefined) throw error;
    await discardBody(exchange.message);
    if (!exchange.message.complete) exchange.response.setHeader('connection', 'close');
    send(exchange, 400, { __type: refusal.code, Message: refusal.message, message: refusal.message });
  }
}

async function perform(exchange: ClaimedExchange, api: Api): Promise<object> {
  const body = await readBody(exchange.message);
  const caller = await authenticate(exchange, body, api);
  const target = exchange.request.headers.get('x-amz-target') ?? '';
  const action = quotasActions.find(({ name }) => target === `${targetPrefix}${name}`);
  if (action === undefined) throw new ServiceError('UnknownOperationException', '');
  exchange.subject.operation = action.name;
  const input = readInput(action.members, { path: new Map(), query: [], body: parseJsonBody(body) });
  checkInput(action.members, input, { profile: api.options.profile, limits: api.limits });
  const { region, accountId } = api.options.realm;
  const resource =
    input.QuotaCode === undefined
      ? '*'
      : `arn:aws:servicequotas:${region}:${accountId}:${String(input.ServiceCode)}/${String(input.QuotaCode)}`;
  const denial = findDenial(caller, [{ action: `servicequotas:${action.name}`, resource }]);
  if (denial !== undefined) throw accessDenied(caller.principal, denial);
  return await action.run(input, api);
}

/** Undefined for a failure that is ours. */
function describe(error: unknown): { readonly code: string; readonly message: string } | undefined {
  if (error instanceof NoSuchQuotaError) return { code: 'NoSuchResourceException', message: error.message };
  if (error instanceof SignatureError) return signatureRefusal(error);
  if (!(error instanceof ServiceError) || error.status >= 500) return undefined;
  const code = error.code === 'ValidationException' ? 'IllegalArgumentException' : error.code;
  return { code, message: error.message };
}

function send({ response }: ClaimedExchange, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response
    .writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'content-length': bytes.length })
    .end(bytes);
}
