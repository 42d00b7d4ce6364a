import { ServiceError, type ServiceErrorCode } from '../../errors.ts';
import { signatureRefusal } from '../auth-errors.ts';
import { authenticate } from '../authenticate.ts';
import { discardBody, parseJsonBody, readBody } from '../http/body.ts';
import type { ClaimedExchange } from '../http/exchange.ts';
import { type Api, StreamedAnswer } from '../operation.ts';
import { SignatureError } from '../sigv4/signature-error.ts';
import { checkInput } from '../validation/check.ts';
import { readInput } from '../validation/read.ts';
import { logsActions } from './actions.ts';
import { authorizeLogs } from './authorize.ts';
import { LogsError } from './logs-error.ts';

const targetPrefix = 'Logs_20140328.';

/** Answers what is served of CloudWatch Logs, in the AWS JSON 1.1 protocol. */
export async function answerLogs(exchange: ClaimedExchange, api: Api): Promise<void> {
  try {
    const answer = await perform(exchange, api);
    if (answer instanceof StreamedAnswer) {
      exchange.subject.streamed = true;
      await answer.write(exchange.response);
    } else send(exchange, 200, answer);
  } catch (error) {
    const refusal = describe(error);
    if (refusal === undefined) throw error;
    const { message, response } = exchange;
    await discardBody(message);
    if (!message.complete) response.setHeader('connection', 'close');
    send(exchange, refusal.status, { __type: refusal.code, message: refusal.message });
  }
}

async function perform(exchange: ClaimedExchange, api: Api): Promise<object | StreamedAnswer> {
  const { message, request } = exchange;
  const body = await readBody(message);
  const caller = await authenticate(exchange, body, api);
  const target = request.headers.get('x-amz-target') ?? '';
  const action = logsActions.find(({ name }) => target === `${targetPrefix}${name}`);
  if (action === undefined) throw new ServiceError('UnknownOperationException', '');
  exchange.subject.operation = action.name;
  const input = readInput(action.members, { path: new Map(), query: [], body: parseJsonBody(body) });
  checkInput(action.members, input, { profile: api.options.profile, limits: api.limits });
  authorizeLogs(action.name, input, caller, api.options.realm);
  api.throttle(action.name);
  const { requestId, signal } = exchange;
  return await action.run(input, {
    api,
    requestId,
    signal,
    logs: api.services.logs,
    sessions: api.liveTails,
  });
}

interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

/** Where CloudWatch Logs has another name for it. */
const codes: Partial<Readonly<Record<ServiceErrorCode, string>>> = {
  ValidationException: 'InvalidParameterException',
};

/** Undefined for a failure that is ours. */
function describe(error: unknown): Refusal | undefined {
  if (error instanceof SignatureError) return describe(signatureRefusal(error));
  if (error instanceof LogsError) return { status: 400, code: error.code, message: error.message };
  if (!(error instanceof ServiceError) || error.status >= 500) return undefined;
  return { status: 400, code: codes[error.code] ?? error.code, message: error.message };
}

function send({ response }: ClaimedExchange, status: number, body: object): void {
  const bytes = Buffer.from(JSON.stringify(body));
  response
    .writeHead(status, { 'content-type': 'application/x-amz-json-1.1', 'content-length': bytes.length })
    .end(bytes);
}
