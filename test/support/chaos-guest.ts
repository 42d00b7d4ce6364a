import type { Context } from './counter-image.ts';

/** Ports of the application in {@link chaosContext}. */
export const chaosPorts = { http: 8080, http2: 8081, tcp: 7000 } as const;

/** An application whose every answer begins with `begun` and then goes on until its connection ends. */
export const chaosContext: Context = {
  Dockerfile: `FROM dormouse/node:24
WORKDIR /app
COPY server.cjs ./
CMD ["node", "server.cjs"]
`,
  'server.cjs': `
const http = require('node:http');
const http2 = require('node:http2');
const net = require('node:net');
const { createHash } = require('node:crypto');

let count = 0;

function drip(stream, part) {
  const timer = setInterval(() => stream.write(part), 100);
  stream.on('error', () => {});
  stream.on('close', () => clearInterval(timer));
  stream.write(part);
}

const server = http.createServer((request, response) => {
  switch (request.url) {
    case '/length':
      response.writeHead(200, { 'content-length': '1000000000' });
      return drip(response, 'begun\\n');
    case '/chunked':
      return drip(response, 'begun\\n');
    case '/events':
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      return drip(response, 'data: begun\\n\\n');
    case '/until-closed':
      request.socket.write('HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n\\r\\n');
      return drip(request.socket, 'begun\\n');
    case '/upload':
      return void request.once('data', () => response.writeProcessing()).resume();
    case '/silent':
      return response.writeProcessing();
    default:
      count += 1;
      response.end(String(count));
  }
});
server.on('upgrade', (request, socket) => {
  const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
  const accept = createHash('sha1').update(request.headers['sec-websocket-key'] + guid).digest('base64');
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: websocket\\r\\n');
  socket.write('Sec-WebSocket-Accept: ' + accept + '\\r\\n\\r\\n');
  socket.resume();
  drip(socket, Buffer.from('\\x81\\x05begun', 'latin1'));
});
server.requestTimeout = 0;
server.listen(${chaosPorts.http});

const modern = http2.createServer();
modern.on('stream', (stream) => {
  stream.on('error', () => {});
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.resume();
  drip(stream, 'begun\\n');
});
modern.listen(${chaosPorts.http2});

net.createServer((socket) => drip(socket, 'begun\\n')).listen(${chaosPorts.tcp});
`,
};
