import { type HeaderList, membersOf } from './headers.ts';

/** What a WebSocket client offered as sub-protocols, ours told apart from the application's (spec section 5.4). */
export interface Subprotocols {
  /** The client offered the marker `lambda-microvms`. */
  readonly marker: boolean;
  readonly token: string | undefined;
  readonly port: string | undefined;
  /** In the client's order. */
  readonly application: readonly string[];
}

export const subprotocolMarker = 'lambda-microvms';
const tokenPrefix = `${subprotocolMarker}.authentication.`;
const portPrefix = `${subprotocolMarker}.port.`;

export function readSubprotocols(headers: HeaderList): Subprotocols {
  const offered = membersOf(headers, 'sec-websocket-protocol');
  const after = (prefix: string): string | undefined =>
    offered.find((name) => name.startsWith(prefix))?.slice(prefix.length);
  return {
    marker: offered.includes(subprotocolMarker),
    token: after(tokenPrefix),
    port: after(portPrefix),
    application: offered.filter(
      (name) => name !== subprotocolMarker && !name.startsWith(tokenPrefix) && !name.startsWith(portPrefix),
    ),
  };
}
