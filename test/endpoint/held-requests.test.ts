/* Whoever comes at a microVM that cannot serve just now: the real endpoint and engine, on the fake machine. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type http2 from 'node:http2';
import { after, before, describe, it, type TestContext } from 'node:test';
import type tls from 'node:tls';
import type { Microvm } from '../../src/model/microvm.ts';
import { type Answer, World } from '../faults/world.ts';
import { until } from '../support/until.ts';
import { type Fixture, h2Headers, h2Session, rawConnection, startEndpoint } from './fixture.ts';

const idlePolicy = { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 6000, autoResumeEnabled: true };

/** A client that is connected, and what it gets to see once it has sent its request. */
interface Client {
  send(): void;
  leave(): void;
  /** Text that ends with the application's answer; without it when the client was refused. */
  readonly answer: Promise<string>;
}

describe('requests that are held', { timeout: 300_000 }, () => {
  let world: World;
  before(async () => {
    world = await World.create({ tickMs: 1 });
  });
  after(() => world.destroy());

  interface Scene {
    readonly fixture: Fixture;
    readonly session: http2.ClientHttp2Session;
    /** The order in which those came that got a connection into the microVM. */
    readonly connected: number[];
  }

  async function scene(t: TestContext, vm: Microvm, limits = {}): Promise<Scene> {
    const connected: number[] = [];
    let arrivals = 0;
    const { process, microvms } = world.server;
    const fixture = await startEndpoint(t, {
      vm: { microvmId: vm.microvmId },
      limits,
      async connect(port, signal) {
        const arrival = arrivals++;
        const stream = await process.run(() => microvms.connect(vm.microvmId, port, signal));
        connected.push(arrival);
        return stream;
      },
    });
    return { fixture, session: await h2Session(t, fixture), connected };
  }

  async function running(): Promise<Microvm> {
    const { microvmId } = await world.run({ idlePolicy });
    return await world.reaches(microvmId, 'RUNNING');
  }

  async function suspended(): Promise<Microvm> {
    const { microvmId } = await running();
    await world.call(({ microvms }) => microvms.suspend(microvmId));
    return await world.reaches(microvmId, 'SUSPENDED');
  }

  /** Lets the transition that begins next go no further than this step, without which it cannot end. */
  function hold(step: 'qmp cont' | 'qmp stop'): () => void {
    const gate = Promise.withResolvers<void>();
    world.server.process.plan({ type: 'hold', step, until: gate.promise });
    return () => gate.resolve();
  }

  /** The clients come one after the other, each when the one before waits. */
  async function arrive({ endpoint }: Fixture, clients: readonly Client[]): Promise<void> {
    const before = endpoint.status().waiting;
    for (const [index, client] of clients.entries()) {
      client.send();
      await until('the client waits', () => endpoint.status().waiting === before + index + 1);
    }
  }

  const begin: Readonly<Record<string, () => Promise<{ vm: Microvm; release: () => void }>>> = {
    'is launched': async () => {
      const release = hold('qmp cont');
      const vm = await world.run({ idlePolicy });
      assert.equal(vm.state, 'PENDING');
      return { vm, release };
    },
    'falls asleep': async () => {
      const { microvmId } = await running();
      const release = hold('qmp stop');
      void world.call(({ microvms }) => microvms.suspend(microvmId));
      return { vm: await world.reaches(microvmId, 'SUSPENDING'), release };
    },
    'is asleep': async () => ({ vm: await suspended(), release: hold('qmp cont') }),
    'wakes up': async () => {
      const vm = await suspended();
      const release = hold('qmp cont');
      void world.call(({ microvms }) => microvms.resume(vm.microvmId));
      await until('it wakes up', () => world.server.process.struck !== undefined);
      return { vm, release };
    },
  };

  for (const [when, beginning] of Object.entries(begin)) {
    it(`are served once, in the order they came, after one wake: it ${when}`, async (t) => {
      const { vm, release } = await beginning();
      const { fixture, session, connected } = await scene(t, vm);
      const clients: Client[] = [];
      for (let round = 0; round < 4; round += 1) {
        clients.push(await overH1(fixture), overH2(session, fixture));
        clients.push(await webSocket(fixture), await tunnel(fixture));
      }
      await arrive(fixture, clients);
      assert.deepEqual(connected, []);
      release();
      const answers = (await Promise.all(clients.map(({ answer }) => answer))).map(parsed);
      assert.deepEqual(connected, [...clients.keys()]);
      const counts = answers.map(({ memory }) => memory);
      const first = Math.min(...counts);
      assert.deepEqual(
        counts.toSorted((a, b) => a - b),
        clients.map((_client, index) => first + index),
        'each was given to the application once',
      );
      // What a tunnel carries follows its answer, and so may come after the request behind it.
      const requests = counts.filter((_count, index) => index % 4 !== 3);
      assert.deepEqual(
        requests,
        requests.toSorted((a, b) => a - b),
      );
      const [{ resumes } = { resumes: -1 }] = answers;
      assert.equal(resumes, when === 'is launched' ? 0 : 1);
      assert.equal(fixture.endpoint.status().waiting, 0);
    });
  }

  it('leave no trace when their clients leave', async (t) => {
    const vm = await suspended();
    const { fixture, session, connected } = await scene(t, vm);
    const staying = [await overH1(fixture), overH2(session, fixture)];
    const leaving = [
      await overH1(fixture),
      overH2(session, fixture),
      await webSocket(fixture),
      await tunnel(fixture),
    ];
    const [first, last] = staying;
    assert.ok(first && last);
    const release = hold('qmp cont');
    await arrive(fixture, [first, ...leaving, last]);
    for (const client of leaving) client.leave();
    await until('those that left are gone', () => fixture.endpoint.status().waiting === staying.length);
    release();
    const answers = (await Promise.all(staying.map(({ answer }) => answer))).map(parsed);
    assert.deepEqual(connected, [0, leaving.length + 1]);
    const before = (answers[0]?.memory ?? 0) - 1;
    const { memory, resumes } = await world.request(vm.microvmId);
    assert.deepEqual([memory, resumes], [before + staying.length + 1, 1]);
  });

  it('are no more than the limit, and what was held before is served', async (t) => {
    const vm = await suspended();
    const { fixture, session } = await scene(t, vm, { waitersPerMicrovm: 2 });
    const held = [await overH1(fixture), overH2(session, fixture)];
    const release = hold('qmp cont');
    await arrive(fixture, held);
    const more = [
      await overH1(fixture),
      overH2(session, fixture),
      await webSocket(fixture),
      await tunnel(fixture),
    ];
    for (const client of more) client.send();
    for (const client of more) assert.match(await client.answer, /\b503\b.*MicroVM is waking up/s);
    release();
    for (const client of held) assert.equal(parsed(await client.answer).resumes, 1);
  });

  it('wait no longer than the limit, and cost the wake nothing', async (t) => {
    const vm = await suspended();
    const { fixture, session } = await scene(t, vm, { wakeTimeoutMs: 50 });
    const held = [
      await overH1(fixture),
      overH2(session, fixture),
      await webSocket(fixture),
      await tunnel(fixture),
    ];
    const release = hold('qmp cont');
    for (const client of held) client.send();
    for (const client of held) assert.match(await client.answer, /\b503\b.*MicroVM is waking up/s);
    assert.equal(fixture.endpoint.status().waiting, 0);
    release();
    await world.reaches(vm.microvmId, 'RUNNING');
    assert.equal((await world.request(vm.microvmId)).resumes, 1);
  });
});

function parsed(text: string): Answer {
  const start = text.indexOf('{"');
  assert.ok(start >= 0, text);
  return JSON.parse(text.slice(start)) as Answer;
}

async function overH1(fixture: Fixture): Promise<Client> {
  return raw(await rawConnection(fixture), head(fixture, '/', ['Connection: close']));
}

async function webSocket(fixture: Fixture): Promise<Client> {
  const lines = [
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  ];
  return raw(await rawConnection(fixture), head(fixture, '/', lines));
}

/** A TCP connection, and a request on it as a client of any protocol would send it. */
async function tunnel(fixture: Fixture): Promise<Client> {
  const lines = ['Connection: Upgrade', 'Upgrade: dormouse-tcp'];
  const opening = head(fixture, '/dormouse/v1/tunnel?port=8080', lines);
  return raw(await rawConnection(fixture), `${opening}GET / HTTP/1.1\r\nHost: app\r\n\r\n`);
}

function head(fixture: Fixture, path: string, lines: readonly string[]): string {
  const all = [`Host: ${fixture.host}`, `X-Aws-Proxy-Auth: ${fixture.token}`, ...lines];
  return `GET ${path} HTTP/1.1\r\n${all.join('\r\n')}\r\n\r\n`;
}

function raw(socket: tls.TLSSocket, request: string): Client {
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.once('end', () => socket.end());
  return {
    send: () => void socket.write(request),
    leave: () => void socket.destroy(),
    answer: once(socket, 'close').then(() => text),
  };
}

function overH2(session: http2.ClientHttp2Session, fixture: Fixture): Client {
  const { promise, resolve } = Promise.withResolvers<string>();
  let stream: http2.ClientHttp2Stream | undefined;
  return {
    send() {
      let text = '';
      stream = session.request(h2Headers(fixture));
      stream.on('error', () => undefined);
      stream.on('response', (headers) => {
        text += `${headers[':status']} `;
      });
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      stream.once('close', () => resolve(text));
    },
    leave: () => void stream?.close(8),
    answer: promise,
  };
}
