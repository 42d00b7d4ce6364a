import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import net from 'node:net';
import type { Duplex } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { GuestConnectError } from '../guest/guest-agent.ts';
import { BuildFailure } from './build-failure.ts';
import { awaitBuildHook, isoDuration } from './build-hooks.ts';

const never = new AbortController().signal;

/** Connects to this machine as an agent does to its guest. */
const agent = {
  async connect(port: number): Promise<Duplex> {
    const socket = net.connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
    } catch {
      throw new GuestConnectError(port, 'ECONNREFUSED');
    }
    return socket;
  },
};

async function serve(context: TestContext, listener: RequestListener, port = 0): Promise<number> {
  const server = createServer(listener).listen(port, '127.0.0.1');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

async function call(port: number, hook: 'ready' | 'validate', timeoutSeconds: number): Promise<void> {
  await awaitBuildHook(agent, { hook, port, timeoutSeconds }, never);
}

describe('awaitBuildHook', () => {
  it('posts an empty request to the hook and takes 200 for yes', async (context) => {
    const seen: IncomingMessage[] = [];
    const port = await serve(context, (request, response) => {
      seen.push(request);
      response.end();
    });
    await call(port, 'ready', 5);
    assert.deepEqual(
      seen.map(({ method, url, headers }) => [method, url, headers['content-length']]),
      [['POST', '/aws/lambda-microvms/runtime/v1/ready', '0']],
    );
  });

  it('lets the application finish its answer', async (context) => {
    const ended = Promise.withResolvers<boolean>();
    const port = await serve(context, (_request, response) => {
      response.on('close', () => ended.resolve(response.writableFinished));
      response.writeHead(200, { 'content-length': 4 });
      response.write('on');
      setTimeout(() => response.end('ce'), 100);
    });
    await call(port, 'ready', 5);
    assert.equal(await ended.promise, true);
  });

  it('tries again after 503, by an id of its own each time', async (context) => {
    const seen: IncomingMessage[] = [];
    const port = await serve(context, (request, response) => {
      seen.push(request);
      response.writeHead(seen.length === 1 ? 503 : 200).end();
    });
    await call(port, 'ready', 10);
    assert.deepEqual(
      seen.map(({ headers }) => headers['user-agent']),
      ['dormouse', 'dormouse'],
    );
    const ids = seen.map(({ headers }) => headers['x-amzn-requestid'] ?? '');
    assert.equal(new Set(ids).size, 2);
    for (const id of ids) assert.match(String(id), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  });

  it('tries again while nothing listens', async (context) => {
    const reserved = await new Promise<number>((resolve) => {
      const server = net.createServer().listen(0, '127.0.0.1', () => {
        const address = server.address();
        server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
      });
    });
    const done = call(reserved, 'ready', 10);
    await serve(context, (_request, response) => response.end(), reserved);
    await done;
  });

  for (const [status, text] of [
    [404, 'Ready hook check failed: the application returned a client error (HTTP 4xx) response'],
    [500, 'Ready hook check failed: the application returned a server error (HTTP 5xx) response'],
    [204, 'Ready hook check failed: the application returned an unexpected (HTTP 204) response'],
  ] as const) {
    it(`fails at once on ${status}`, async (context) => {
      let calls = 0;
      const port = await serve(context, (_request, response) => {
        calls += 1;
        response.writeHead(status).end();
      });
      await assert.rejects(call(port, 'ready', 60), new BuildFailure('HOOK_FAILED', text));
      assert.equal(calls, 1);
    });
  }

  it('gives up on an application that does not answer, or always says 503', async (context) => {
    const timedOut = new BuildFailure('HOOK_FAILED', 'Validate hook invocation timed out after PT1S');
    const silent = await serve(context, () => undefined);
    await assert.rejects(call(silent, 'validate', 1), timedOut);
    const busy = await serve(context, (_request, response) => response.writeHead(503).end());
    await assert.rejects(call(busy, 'validate', 1), timedOut);
  });

  it('ends with the signal', async (context) => {
    const port = await serve(context, (_request, response) => response.writeHead(503).end());
    const reason = new Error('stopped');
    const waiting = awaitBuildHook(
      agent,
      { hook: 'ready', port, timeoutSeconds: 60 },
      AbortSignal.abort(reason),
    );
    await assert.rejects(waiting, reason);
  });
});

describe('isoDuration', () => {
  it('prints durations as the service does', () => {
    const printed = [1, 60, 90, 300, 600, 3600, 3661].map(isoDuration);
    assert.deepEqual(printed, ['PT1S', 'PT1M', 'PT1M30S', 'PT5M', 'PT10M', 'PT1H', 'PT1H1M1S']);
  });
});
