import { EventEmitter, once } from 'node:events';
import type { TestContext } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { type Fixture, type FixtureOptions, startEndpoint } from './fixture.ts';

export const identity = (value: Buffer): Buffer => value;
const codec = {
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
};
export const definition = {
  Unary: { path: '/test.Echo/Unary', requestStream: false, responseStream: false, ...codec },
  Collect: { path: '/test.Echo/Collect', requestStream: true, responseStream: false, ...codec },
  Repeat: { path: '/test.Echo/Repeat', requestStream: false, responseStream: true, ...codec },
  Chat: { path: '/test.Echo/Chat', requestStream: true, responseStream: true, ...codec },
  Status: { path: '/test.Echo/Status', requestStream: false, responseStream: false, ...codec },
  Hang: { path: '/test.Echo/Hang', requestStream: false, responseStream: true, ...codec },
};

export interface Echo {
  readonly fixture: Fixture;
  readonly client: grpc.Client;
  readonly metadata: grpc.Metadata;
  /** Another client of the endpoint; `options` as grpc-js takes them. */
  connect(options: grpc.ClientOptions): grpc.Client;
  /** The next call of `Hang` that its client gave up. */
  abandoned(): Promise<grpc.ServerWritableStream<Buffer, Buffer>>;
}

/** A gRPC server as a port of the microVM, and a gRPC client of the endpoint. */
export async function startEcho(t: TestContext, options: FixtureOptions = {}): Promise<Echo> {
  const hanging = new EventEmitter();
  const server = new grpc.Server();
  server.addService(definition, {
    Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      if (call.request.toString() === 'fail') {
        return done({ code: grpc.status.FAILED_PRECONDITION, details: 'as you wish' });
      }
      const trailers = new grpc.Metadata();
      trailers.set('x-seen', String(call.metadata.get('x-mine')[0]));
      trailers.set('x-token-seen', String(call.metadata.get('x-aws-proxy-auth').length));
      done(null, call.request, trailers);
    },
    Collect(call: grpc.ServerReadableStream<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => done(null, Buffer.concat(parts)));
    },
    Repeat(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      for (let index = 0; index < 100; index += 1) call.write(call.request);
      call.end();
    },
    /** Ends as it is told: a code, and the details after it. */
    Status(call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) {
      const [code, ...details] = call.request.toString().split(' ');
      const trailers = new grpc.Metadata();
      for (const value of call.metadata.get('x-data-bin')) trailers.add('x-data-bin', value);
      if (Number(code) === grpc.status.OK) return done(null, call.request, trailers);
      done({ code: Number(code), details: details.join(' '), metadata: trailers });
    },
    Hang(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      call.on('cancelled', () => hanging.emit('abandoned', call));
      call.write(call.request);
    },
    Chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  t.after(() => server.forceShutdown());
  const fixture = await startEndpoint(t, options);
  fixture.exposePort(8080, port);
  const connect = (more: grpc.ClientOptions): grpc.Client => {
    const client = new grpc.Client(
      `127.0.0.1:${fixture.port}`,
      grpc.credentials.createSsl(Buffer.from(fixture.ca)),
      { 'grpc.ssl_target_name_override': fixture.host, 'grpc.default_authority': fixture.host, ...more },
    );
    t.after(() => client.close());
    return client;
  };
  const metadata = new grpc.Metadata();
  metadata.set('x-aws-proxy-auth', fixture.token);
  metadata.set('x-mine', 'metadata');
  return {
    fixture,
    client: connect({}),
    metadata,
    connect,
    async abandoned() {
      const [call] = await once(hanging, 'abandoned');
      return call as grpc.ServerWritableStream<Buffer, Buffer>;
    },
  };
}
