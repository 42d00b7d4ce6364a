import { internalFailure, ServiceError } from '../errors.ts';
import { describeStorageFailure } from '../model/storage-failure.ts';
import { oldSignature } from '../s3/s3-error.ts';
import { signatureRefusal } from './auth-errors.ts';
import { answerCloudWatch } from './cloudwatch/answer.ts';
import { extensionOperations } from './extensions/index.ts';
import { metricsOf, sendMetrics } from './extensions/read-metrics.ts';
import { discardBody } from './http/body.ts';
import type { Exchange } from './http/exchange.ts';
import { mayName } from './http/host-name.ts';
import { sendJson, sendServiceError } from './http/respond.ts';
import { answerIam } from './iam/answer.ts';
import { answerJson, findRoute } from './json-service.ts';
import { logsActions } from './logs/actions.ts';
import { answerLogs } from './logs/answer.ts';
import { refuseService } from './not-offered.ts';
import type { Api } from './operation.ts';
import { operations } from './operations/index.ts';
import { answerQuotas } from './quotas/answer.ts';
import { createRouter } from './router.ts';
import { answerS3 } from './s3/answer.ts';
import { isOldPresigned, readOldPresigned } from './s3/old-presigned.ts';
import { sendS3Error } from './s3/respond.ts';
import { readClaim, type SignatureClaim } from './sigv4/claim.ts';
import { SignatureError } from './sigv4/signature-error.ts';
import { answerSts } from './sts/answer.ts';

/** Names a signature may be made for. */
const services: ReadonlySet<string> = new Set([
  's3',
  'sts',
  'iam',
  'lambda',
  'logs',
  'monitoring',
  'servicequotas',
]);
/** Names of all operations that can have a rate. */
export const throttledOperations: ReadonlySet<string> = new Set(
  [...operations, ...extensionOperations, ...logsActions].map(({ name }) => name),
);

const router = createRouter([...operations, ...extensionOperations]);

/** Answers one request whatever it is; never rejects. The service is the one the signature names. */
export async function dispatch(exchange: Exchange, api: Api): Promise<void> {
  const { request, response } = exchange;
  try {
    if (request.path === '/healthz') {
      exchange.subject.operation = 'health';
      sendJson(response, 200, { status: 'ok' });
      return;
    }
    const metrics = metricsOf(api);
    if (request.path === '/metrics' && metrics !== undefined) {
      exchange.subject.operation = 'metrics';
      if (!mayName(request.headers.get('host'), api.options.hostNames ?? [])) {
        sendJson(response, 421, { message: 'This server does not go by the name in the Host header.' });
      } else if (api.options.metricsAccess === 'open' && !exchange.fromGuest)
        await sendMetrics(response, metrics);
      else sendJson(response, 403, { message: 'Signed requests get the metrics at /dormouse/v1/metrics.' });
      return;
    }
    if (usesOldSignature(exchange)) {
      await discardBody(exchange.message);
      sendS3Error(exchange, oldSignature());
      return;
    }
    const claim = readClaimOf(exchange, api);
    const claimed = { ...exchange, claim };
    exchange.subject.service = services.has(claim.scope.service) ? claim.scope.service : 'other';
    switch (claim.scope.service) {
      case 's3':
        return await answerS3(claimed, api);
      case 'sts':
        return await answerSts(claimed, api);
      case 'iam':
        return await answerIam(claimed, api);
      case 'lambda':
        return await answerJson(claimed, router, api);
      case 'logs':
        return await answerLogs(claimed, api);
      case 'monitoring':
        return await answerCloudWatch(claimed, api);
      case 'servicequotas':
        return await answerQuotas(claimed, api);
      default:
        if (router(request.method, request.path) === undefined) return await refuseService(claimed, services);
        throw new SignatureError('scope', "Credential should be scoped to correct service: 'lambda'. ");
    }
  } catch (error) {
    await refuse(exchange, error, api);
  }
}

/** A path nobody answers is reported as such even when the request is not signed. */
function readClaimOf(exchange: Exchange, api: Api): SignatureClaim {
  if (isOldPresigned(exchange.request)) {
    return readOldPresigned(exchange.request, api.options.realm.region);
  }
  try {
    return readClaim(exchange.request);
  } catch (error) {
    findRoute(exchange, router);
    throw error;
  }
}

/** Signature version 2, which is taken in presigned URLs only. */
function usesOldSignature({ request }: Exchange): boolean {
  return /^AWS /.test(request.headers.get('authorization') ?? '');
}

async function refuse(exchange: Exchange, error: unknown, api: Api): Promise<void> {
  const { response, requestId } = exchange;
  const refusal = asServiceError(error);
  if (refusal.code === 'InternalServerException' && !exchange.signal.aborted) {
    api.options.reportFault(error, requestId);
  }
  if (response.headersSent) {
    response.destroy();
    return;
  }
  await discardBody(exchange.message);
  // A body that was not read to its end would be taken for the next request.
  if (!exchange.message.complete) response.setHeader('connection', 'close');
  sendServiceError(response, refusal, exchange.request.path.startsWith('/2026-04-04/') ? 'core' : 'microvms');
}

function asServiceError(error: unknown): ServiceError {
  if (error instanceof ServiceError) return error;
  if (error instanceof SignatureError) return signatureRefusal(error);
  return internalFailure(error, describeStorageFailure(error));
}
