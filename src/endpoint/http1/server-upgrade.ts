import type { TLSSocket } from 'node:tls';
import { membersOf, valuesOf } from '../headers.ts';
import type { UpgradeClient } from '../upgrade-client.ts';
import { fieldText } from './grammar.ts';
import type { RequestHead } from './head.ts';
import type { ServerConnection } from './server-connection.ts';
import type { ServerExchange } from './server-exchange.ts';

/** A request to change the protocol of an HTTP/1.1 connection. */
export function upgradeOverH1(
  exchange: ServerExchange,
  head: RequestHead,
  connection: ServerConnection,
  socket: TLSSocket,
): UpgradeClient {
  const { method, section } = head;
  const fields = section.fields.list;
  const protocols = membersOf(fields, 'upgrade');
  return {
    protocol: protocols.length === 1 ? protocols[0]?.toLowerCase() : undefined,
    exchange,
    isWebSocket:
      method === 'GET' &&
      section.version === '1.1' &&
      valuesOf(fields, 'sec-websocket-version').join() === '13' &&
      /^[A-Za-z0-9+/]{22}==$/.test(valuesOf(fields, 'sec-websocket-key').join()),
    whenClosed(callback) {
      if (socket.closed) callback();
      else socket.once('close', callback);
    },
    accept(answer) {
      const text = `HTTP/1.1 101 Switching Protocols\r\n${fieldText(answer)}\r\n`;
      const { rest } = connection.handOver();
      // From here on the end of one direction means nothing for the other.
      socket.allowHalfOpen = true;
      socket.write(text, 'latin1');
      if (rest.length > 0) socket.unshift(rest);
      return socket;
    },
  };
}
