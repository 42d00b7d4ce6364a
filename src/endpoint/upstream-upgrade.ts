import type { Duplex } from 'node:stream';
import { type HeaderList, valuesOf } from './headers.ts';
import type { EndpointLimits } from './options.ts';
import type { UpstreamEvents } from './upstream.ts';
import { startH1Request } from './upstream-h1.ts';

export interface UpgradeEvents extends UpstreamEvents {
  /** The application agreed; what it sent right behind its answer is in the stream. */
  switched(headers: HeaderList, connection: Duplex): void;
}

/** Asks the application to change the protocol of a connection. */
export function callUpgrade(
  connection: Duplex,
  path: string,
  head: HeaderList,
  events: UpgradeEvents,
  limits: Pick<EndpointLimits, 'headerBytes' | 'headerCount' | 'upstreamHandshakeTimeoutMs'>,
): { abort(): void } {
  let over = false;
  const fail = (error: Error): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    connection.destroy();
    events.fail(error);
  };
  const upstream = startH1Request(connection, 'GET', path, head, limits);
  const timer = setTimeout(
    () => fail(new Error('no answer to the upgrade')),
    limits.upstreamHandshakeTimeoutMs,
  );
  upstream.on('error', fail);
  upstream.on('information', (info) => {
    if (!over) events.inform(info.statusCode, info.rawHeaders);
  });
  upstream.once('upgrade', (response, _socket, rest) => {
    if (over) return;
    if (response.rawHeaders.length > limits.headerCount * 2) return fail(new Error('too many headers'));
    over = true;
    clearTimeout(timer);
    if (rest.length > 0) connection.unshift(rest);
    events.switched(response.rawHeaders, connection);
  });
  upstream.once('response', (response) => {
    if (over) return;
    if (response.rawHeaders.length > limits.headerCount * 2) return fail(new Error('too many headers'));
    clearTimeout(timer);
    response.on('error', fail);
    response.once('end', () => {
      over = true;
      connection.destroy();
    });
    events.respond({
      status: response.statusCode ?? 0,
      reason: response.statusMessage ?? '',
      headers: response.rawHeaders,
      length: valuesOf(response.rawHeaders, 'content-length')[0],
      bodyless: false,
      body: response,
      trailers: () => response.rawTrailers,
    });
  });
  upstream.end();
  return {
    abort() {
      over = true;
      clearTimeout(timer);
      upstream.destroy();
      connection.destroy();
    },
  };
}
