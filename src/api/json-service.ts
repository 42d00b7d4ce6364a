import { authenticate } from './authenticate.ts';
import { unknownOperation } from './errors.ts';
import { parseJsonBody, readBody } from './http/body.ts';
import type { ClaimedExchange, Exchange } from './http/exchange.ts';
import { sendJson } from './http/respond.ts';
import { type Api, StreamedAnswer } from './operation.ts';
import type { Router } from './router.ts';
import { parseQuery } from './sigv4/uri.ts';

/**
 * Answers a request of the REST-JSON services: route, signature, rate, types, constraints, permission, then the operation.
 * @throws {ServiceError | SignatureError}
 */
export async function answerJson(exchange: ClaimedExchange, router: Router, api: Api): Promise<void> {
  const { request, message, response, requestId, signal } = exchange;
  const route = findRoute(exchange, router);
  exchange.subject.operation = route.operation.name;
  const body = await readBody(message);
  const { principal, permissions } = await authenticate(exchange, body, api);
  api.throttle(route.operation.name);
  const answer = await route.operation.run(
    { path: route.path, query: parseQuery(request.query), body: parseJsonBody(body) },
    { api, principal, permissions, requestId, headers: request.headers, signal },
  );
  if (answer instanceof StreamedAnswer) {
    exchange.subject.streamed = true;
    await answer.write(response);
  } else sendJson(response, route.operation.status, answer);
}

/** @throws {ServiceError} UnknownOperationException */
export function findRoute({ request }: Exchange, router: Router): NonNullable<ReturnType<Router>> {
  const route = router(request.method, request.path);
  if (route === undefined) throw unknownOperation(request.method, request.path);
  return route;
}
