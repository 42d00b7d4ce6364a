import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { singleValue } from './fields.ts';
import { requestIdHeader } from './headers.ts';
import { readSubprotocols, subprotocolMarker } from './subprotocols.ts';
import { type UpgradeClient, webSocketAccept } from './upgrade-client.ts';

const longestMessage = 4 * 1024 * 1024;
/** Output of a process that waits for a slow client, in bytes and in messages; beyond either the process is made to wait. */
const mostBuffered = 1024 * 1024;
const mostMessages = 64;

const server = new WebSocketServer({ noServer: true, maxPayload: longestMessage, perMessageDeflate: false });

/** A key as every client over HTTP/1.1 has one; its answer goes nowhere. */
const someKey = Buffer.alloc(16).toString('base64');

/**
 * Speaks WebSocket with a client that came for us, over whatever version of HTTP.
 * @returns the stream below it
 */
export function acceptWebSocket(
  client: UpgradeClient,
  requestId: string,
  onOpen: (connection: WebSocket) => void,
): Duplex {
  const fields = client.exchange.fields.list;
  const key = singleValue(fields, 'sec-websocket-key') ?? someKey;
  const answer = ['Connection', 'Upgrade', 'Upgrade', 'websocket'];
  answer.push('Sec-WebSocket-Accept', webSocketAccept(key), requestIdHeader, requestId);
  // A browser that offered sub-protocols needs one of them in the answer (spec section 5.4).
  if (readSubprotocols(fields).marker) answer.push('Sec-WebSocket-Protocol', subprotocolMarker);
  const stream = withoutFirstWrite(client.accept(answer));
  server.handleUpgrade(plainRequest(), stream, Buffer.alloc(0), onOpen);
  return stream;
}

/** Sends what a process says, each piece as a message. */
export function sendOutput(
  connection: Pick<WebSocket, 'send' | 'bufferedAmount'>,
  output: NodeJS.ReadableStream,
  toMessage: (chunk: Uint8Array) => Uint8Array,
): void {
  let unsent = 0;
  const hasRoom = (): boolean => unsent < mostMessages && connection.bufferedAmount < mostBuffered;
  output.on('data', (chunk: Uint8Array) => {
    unsent += 1;
    connection.send(toMessage(chunk), () => {
      unsent -= 1;
      if (hasRoom()) output.resume();
    });
    if (!hasRoom()) output.pause();
  });
}

/** The server's own answer to the handshake is dropped: it knows HTTP/1.1 only. */
function withoutFirstWrite(stream: Duplex): Duplex {
  const { write } = stream;
  stream.write = () => {
    stream.write = write;
    return true;
  };
  return stream;
}

/** The least that the server takes for a handshake; the client's has been checked. */
function plainRequest(): IncomingMessage {
  const request = new IncomingMessage(new Socket());
  request.method = 'GET';
  request.headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': someKey,
  };
  return request;
}
