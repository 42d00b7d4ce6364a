import { ServiceError } from '../../errors.ts';
import { signatureRefusal } from '../auth-errors.ts';
import { authenticate } from '../authenticate.ts';
import { findDenial } from '../authorization/access.ts';
import { accessDenied } from '../errors.ts';
import { discardBody, readBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import type { Api } from '../operation.ts';
import { SignatureError } from '../sigv4/signature-error.ts';
import { cloudWatchActions } from './actions.ts';
import { CloudWatchError } from './input.ts';
import { type Protocol, protocolOf } from './protocols.ts';

/** Answers what is served of CloudWatch, in the protocol that the client speaks. */
export async function answerCloudWatch(exchange: ClaimedExchange, api: Api): Promise<void> {
  const protocol = protocolOf(exchange);
  try {
    send(exchange, protocol, 200, await perform(exchange, protocol, api));
  } catch (error) {
    const refusal = describe(error);
    if (refusal === undefined) throw error;
    await discardBody(exchange.message);
    if (!exchange.message.complete) exchange.response.setHeader('connection', 'close');
    exchange.response.setHeader('x-amzn-query-error', `${refusal.code};Sender`);
    const body = protocol.refuse(refusal.code, refusal.message, exchange.requestId);
    send(exchange, protocol, refusal.code === 'AccessDenied' ? 403 : 400, body);
  }
}

async function perform(exchange: ClaimedExchange, protocol: Protocol, api: Api): Promise<Buffer> {
  const body = await readBody(exchange.message);
  const caller = await authenticate(exchange, body, api);
  const name = protocol.actionOf(exchange, body);
  const action = cloudWatchActions.find((candidate) => candidate.name === name);
  if (action === undefined) throw new ServiceError('UnknownOperationException', `No operation ${name}`);
  exchange.subject.operation = name;
  const denial = findDenial(caller, [{ action: `cloudwatch:${name}`, resource: '*' }]);
  if (denial !== undefined) throw accessDenied(caller.principal, denial);
  const { usage } = api.services;
  const result = action.run(protocol.read(body, exchange), (microvmId) => usage.of(microvmId));
  return protocol.answer(name, result, exchange.requestId);
}

/** Undefined for a failure that is ours. */
function describe(error: unknown): { readonly code: string; readonly message: string } | undefined {
  if (error instanceof CloudWatchError) return error;
  if (error instanceof SignatureError) return signatureRefusal(error);
  if (!(error instanceof ServiceError) || error.status >= 500) return undefined;
  if (error.code === 'AccessDeniedException') return { code: 'AccessDenied', message: error.message };
  if (error.code === 'UnknownOperationException') return { code: 'InvalidAction', message: error.message };
  return error;
}

function send({ response }: ClaimedExchange, protocol: Protocol, status: number, body: Buffer): void {
  response
    .writeHead(status, {
      'content-type': protocol.contentType,
      'content-length': body.length,
      ...protocol.headers,
    })
    .end(body);
}
