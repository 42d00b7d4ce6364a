import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { type GuestAgent, GuestConnectError, GuestProtocolError } from '../guest/guest-agent.ts';
import type { Hooks } from '../model/image.ts';
import { HookFailedError, runLifecycleHook } from './lifecycle-hooks.ts';

const runtimeHooks = ['run', 'resume', 'suspend', 'terminate'] as const;
type RuntimeHook = (typeof runtimeHooks)[number];

/** Connects to this machine as an agent does to its guest. */
const agent: Pick<GuestAgent, 'connect'> = {
  async connect(port: number, signal?: AbortSignal): Promise<Duplex> {
    const socket = net.connect({ port, host: '127.0.0.1', signal });
    try {
      await once(socket, 'connect');
    } catch {
      throw new GuestConnectError(port, 'ECONNREFUSED');
    }
    return socket;
  },
};

interface Application {
  readonly port: number;
  readonly connections: Socket[];
  readonly requests: { line: string; headers: Record<string, unknown>; body: string }[];
}

async function serve(context: TestContext, answer: RequestListener): Promise<Application> {
  const connections: Socket[] = [];
  const requests: Application['requests'] = [];
  const server = createServer({ keepAliveTimeout: 60_000 }, async (request, response) => {
    const { host, 'user-agent': userAgent, 'content-type': type, connection } = request.headers;
    requests.push({
      line: `${request.method} ${request.url} HTTP/${request.httpVersion}`,
      headers: { host, userAgent, type, connection },
      body: await text(request),
    });
    answer(request, response);
  }).listen(0, '127.0.0.1');
  server.on('connection', (socket: Socket) => connections.push(socket));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, connections, requests };
}

function enabled(port: number, timeoutInSeconds?: number): Hooks {
  const settings = runtimeHooks.map((hook) => [hook, 'ENABLED'] as const);
  const timeouts = runtimeHooks.map((hook) => [`${hook}TimeoutInSeconds`, timeoutInSeconds] as const);
  return {
    port,
    microvmHooks: Object.fromEntries(timeoutInSeconds === undefined ? settings : [...settings, ...timeouts]),
  };
}

function title(hook: RuntimeHook): string {
  return `${hook.slice(0, 1).toUpperCase()}${hook.slice(1)}`;
}

describe('runtime hooks', () => {
  for (const hook of runtimeHooks) {
    it(`/${hook} is posted as the service does, on a connection of its own each time`, async (context) => {
      const application = await serve(context, (_request, response) => response.end());
      const body = hook === 'run' ? '{"microvmId":"microvm-1","runHookPayload":"{\\"a\\":1}"}' : undefined;
      const call = { hook, hooks: enabled(application.port), ...(body === undefined ? {} : { body }) };
      await runLifecycleHook(agent, call);
      // A crash may have it delivered again.
      await runLifecycleHook(agent, call);
      const expected = {
        line: `POST /aws/lambda-microvms/runtime/v1/${hook} HTTP/1.1`,
        headers: {
          host: `localhost:${application.port}`,
          userAgent: undefined,
          type: body === undefined ? undefined : 'application/json',
          connection: 'close',
        },
        body: body ?? '',
      };
      assert.deepEqual(application.requests, [expected, expected]);
      assert.equal(application.connections.length, 2);
    });

    // Unlike a build hook it is never tried again, whatever it says.
    for (const status of [201, 204, 302, 400, 500, 503]) {
      it(`/${hook} that answers ${status} has failed`, async (context) => {
        const application = await serve(context, (_request, response) => response.writeHead(status).end());
        await assert.rejects(
          runLifecycleHook(agent, { hook, hooks: enabled(application.port) }),
          new HookFailedError(
            `${title(hook)} lifecycle hook returned HTTP status ${status}. ` +
              'Please check your hook endpoint and application logs for more details.',
          ),
        );
        assert.equal(application.requests.length, 1);
      });
    }

    it(`/${hook} where nothing listens has failed`, async () => {
      const free = net.createServer().listen(0, '127.0.0.1');
      await once(free, 'listening');
      const { port } = free.address() as AddressInfo;
      free.close();
      await once(free, 'close');
      await assert.rejects(
        runLifecycleHook(agent, { hook, hooks: enabled(port) }),
        new HookFailedError(`${title(hook)} lifecycle hook connection was refused`),
      );
    });

    it(`/${hook} cut off in the middle has failed`, async (context) => {
      const application = await serve(context, (request) => request.socket.resetAndDestroy());
      await assert.rejects(
        runLifecycleHook(agent, { hook, hooks: enabled(application.port) }),
        new HookFailedError(`${title(hook)} lifecycle hook connection was refused`),
      );
    });
  }

  it('without an answer have failed after a second, unless more was given', async (context) => {
    const silent = await serve(context, () => undefined);
    const slow = await serve(context, (_request, response) => setTimeout(() => response.end(), 1200));
    await Promise.all(
      runtimeHooks.map(async (hook) => {
        const given = runLifecycleHook(agent, { hook, hooks: enabled(slow.port, 60) });
        await assert.rejects(
          runLifecycleHook(agent, { hook, hooks: enabled(silent.port) }),
          new HookFailedError(`${title(hook)} lifecycle hook timed out`),
        );
        await given;
      }),
    );
  });

  it('are not called unless they are enabled', async (context) => {
    const application = await serve(context, (_request, response) => response.writeHead(500).end());
    for (const hook of runtimeHooks) {
      const { port } = application;
      await runLifecycleHook(agent, { hook, hooks: null });
      await runLifecycleHook(agent, { hook, hooks: { port } });
      await runLifecycleHook(agent, { hook, hooks: { port, microvmHooks: { [hook]: 'DISABLED' } } });
    }
    assert.equal(application.requests.length, 0);
  });

  it('say when the guest is gone instead of blaming the application', async () => {
    const gone = { connect: () => Promise.reject(new GuestProtocolError('the session is over')) };
    await assert.rejects(
      runLifecycleHook(gone, { hook: 'run', hooks: enabled(1) }),
      new GuestProtocolError('the session is over'),
    );
  });

  it('end with the transition they belong to', async (context) => {
    const application = await serve(context, () => leave.abort(new Error('terminated meanwhile')));
    const leave = new AbortController();
    await assert.rejects(
      runLifecycleHook(agent, {
        hook: 'suspend',
        hooks: enabled(application.port, 60),
        signal: leave.signal,
      }),
      new Error('terminated meanwhile'),
    );
  });
});
