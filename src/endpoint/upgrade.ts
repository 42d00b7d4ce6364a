import { randomBytes } from 'node:crypto';
import { choosePort, hasIngress } from './admission.ts';
import { execPath, serveExec } from './exec.ts';
import { type RequestFields, singleValue } from './fields.ts';
import { forwardable, type HeaderList, pairsOf, requestIdHeader, valuesOf } from './headers.ts';
import { checkHead, enter, type ProxyContext } from './proxy.ts';
import { answerFailure, badGateway, RefusedError, refusals } from './refusals.ts';
import { Response } from './response.ts';
import type { ShapedDialer } from './shaping/shaping.ts';
import { type Exec, serveShell, shellPaths } from './shell.ts';
import { splice } from './splice.ts';
import { readSubprotocols, type Subprotocols, subprotocolMarker } from './subprotocols.ts';
import { isTunnel, serveTunnel, tunnelPort } from './tunnel.ts';
import { type UpgradeClient, webSocketAccept } from './upgrade-client.ts';
import { callUpgrade } from './upstream-upgrade.ts';
import type { Target } from './upstreams.ts';

export interface UpgradeContext extends ProxyContext {
  readonly dialer: ShapedDialer;
  readonly exec: Exec | undefined;
}

/** Serves a request for another protocol. Never rejects. */
export async function serveUpgrade(client: UpgradeClient, context: UpgradeContext): Promise<void> {
  const { exchange } = client;
  const { requestId } = exchange;
  try {
    checkHead(exchange, context.limits);
    const offered = readSubprotocols(exchange.fields.list);
    const admission = await context.doorkeeper.admit(
      exchange,
      exchange.fields.token ?? (offered.marker ? offered.token : undefined),
    );
    if (exchange.framing !== 'none') throw new RefusedError(refusals.malformedUpgrade);
    const whenOver = client.whenClosed;
    if (isTunnel(client.protocol)) {
      const port = tunnelPort(exchange.path, admission);
      enter(context, exchange, admission, whenOver);
      await serveTunnel(client, { vm: admission.vm, port }, requestId, context.dialer);
      return;
    }
    if (client.protocol !== 'websocket' || !client.isWebSocket) {
      throw new RefusedError(refusals.malformedUpgrade);
    }
    if (admission.claims.grant === 'shell') {
      if (!hasIngress(admission.vm, 'SHELL_INGRESS')) throw new RefusedError(refusals.portDenied);
      const path = exchange.path.split('?', 1)[0] ?? '';
      if (!shellPaths.has(path) && path !== execPath) throw new RefusedError(badGateway('NOT_FOUND'));
      enter(context, exchange, admission, whenOver);
      if (path === execPath) return serveExec(client, admission.vm.microvmId, context.exec, requestId);
      await serveShell(client, admission.vm.microvmId, context.exec, requestId);
      return;
    }
    const port = choosePort(admission, exchange.fields.ports, offered.port);
    enter(context, exchange, admission, whenOver);
    await serveWebSocket(client, offered, { vm: admission.vm, port }, requestId, context);
  } catch (error) {
    answerFailure(exchange, error, context);
  }
}

async function serveWebSocket(
  client: UpgradeClient,
  offered: Subprotocols,
  target: Target,
  requestId: string,
  context: UpgradeContext,
): Promise<void> {
  const { exchange } = client;
  const connection = await context.dialer.connect(target.vm, target.port, exchange.left.signal);
  // A client over HTTP/2 has no key; the application still wants one.
  const key = singleValue(exchange.fields.list, 'sec-websocket-key') ?? randomBytes(16).toString('base64');
  const response = new Response(exchange, requestId, context.limits);
  const call = callUpgrade(
    connection,
    exchange.path,
    webSocketHead(exchange.fields, offered, key, requestId),
    response,
    (headers, application) => {
      if (valuesOf(headers, 'sec-websocket-accept').join() !== webSocketAccept(key)) {
        application.destroy();
        return response.fail(new Error('the application did not complete the WebSocket handshake'));
      }
      exchange.left.onLeave = undefined;
      try {
        splice(client.accept(webSocketAnswer(headers, offered, requestId)), application);
      } catch (error) {
        application.destroy();
        response.fail(new RefusedError(badGateway('BAD_GATEWAY'), { cause: error }));
      }
    },
    context.limits,
  );
  response.attach(call);
}

function webSocketHead(
  fields: RequestFields,
  offered: Subprotocols,
  key: string,
  requestId: string,
): HeaderList {
  const passed = pairsOf(fields.forwardable).filter(([name]) => !rewritten.has(name.toLowerCase()));
  const head = ['Host', fields.authority ?? '', ...passed.flat(), requestIdHeader, requestId];
  if (offered.application.length > 0) head.push('Sec-WebSocket-Protocol', offered.application.join(', '));
  head.push('Sec-WebSocket-Key', key, 'Connection', 'Upgrade', 'Upgrade', 'websocket');
  return head;
}

const rewritten: ReadonlySet<string> = new Set(['sec-websocket-protocol', 'sec-websocket-key']);

function webSocketAnswer(headers: HeaderList, offered: Subprotocols, requestId: string): HeaderList {
  const head = ['Connection', 'Upgrade', 'Upgrade', 'websocket', ...forwardable(headers)];
  const chosen = valuesOf(headers, 'sec-websocket-protocol').length > 0;
  // A browser that offered sub-protocols needs one of them in the answer (spec section 5.4).
  if (!chosen && offered.marker) head.push('Sec-WebSocket-Protocol', subprotocolMarker);
  head.push(requestIdHeader, requestId);
  return head;
}
