import type { Duplex } from 'node:stream';
import type { HeaderList } from './headers.ts';
import { ClientConnection, type OnSwitch } from './http1/client-connection.ts';
import { requestHeadText } from './http1/head.ts';
import type { EndpointLimits } from './options.ts';
import { RefusedError, refusals } from './refusals.ts';
import type { UpstreamCall, UpstreamEvents } from './upstream.ts';

/**
 * Asks the application to change the protocol of a connection.
 * @throws {RefusedError} the head holds characters HTTP/1.1 has no place for; the connection is then gone
 */
export function callUpgrade(
  stream: Duplex,
  path: string,
  head: HeaderList,
  events: UpstreamEvents,
  onSwitch: OnSwitch,
  limits: Pick<EndpointLimits, 'headerBytes' | 'headerCount' | 'upstreamHandshakeTimeoutMs'>,
): UpstreamCall {
  const connection = new ClientConnection(stream, limits);
  const timer = setTimeout(() => {
    connection.destroy();
    events.fail(new Error('no answer to the upgrade'));
  }, limits.upstreamHandshakeTimeoutMs);
  const untimed =
    <Arguments extends unknown[]>(step: (...given: Arguments) => void) =>
    (...given: Arguments): void => {
      clearTimeout(timer);
      step(...given);
    };
  try {
    const call = connection.send(
      { method: 'GET', head: requestHeadText('GET', path, head), framing: 'none' },
      {
        attach: (call) => events.attach(call),
        inform: (status, headers) => events.inform(status, headers),
        respond: untimed((response) => events.respond(response)),
        write: (chunk) => events.write(chunk),
        finish: (trailers) => events.finish(trailers),
        drain: () => events.drain(),
        fail: untimed((error) => events.fail(error)),
      },
      { onSwitch: untimed(onSwitch) },
    );
    return {
      write: (chunk) => call.write(chunk),
      finish: (trailers) => call.finish(trailers),
      resume: () => call.resume(),
      abort: untimed(() => call.abort()),
    };
  } catch (error) {
    clearTimeout(timer);
    connection.destroy();
    throw new RefusedError(refusals.malformedRequest, { cause: error });
  }
}
