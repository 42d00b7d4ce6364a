import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import net, { type AddressInfo, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { pino } from 'pino';
import { MicrovmUnreachableError } from '../../microvms/microvm-service.ts';
import type { Microvm } from '../../model/microvm.ts';
import { openDatabase, type Store } from '../../store/database.ts';
import { PublishedPorts, type PublishedPortsOptions } from './published-ports.ts';

const microvmId = 'microvm-1';
const loopback = ['127.0.0.0/8'];

interface Guest {
  readonly backend: PublishedPortsOptions['backend'];
  readonly asked: number[];
  state: Microvm['state'];
  reachable: boolean;
}

/** A microVM whose ports all lead to one server that says back what it hears. */
async function startGuest(t: TestContext): Promise<Guest> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo;
  const guest: Guest = {
    state: 'RUNNING',
    reachable: true,
    asked: [],
    backend: {
      get: async (id) => ({ microvmId: id, state: guest.state }) as Microvm,
      async connect(_id, guestPort) {
        guest.asked.push(guestPort);
        if (!guest.reachable) throw new MicrovmUnreachableError('MICROVM_SUSPENDED', 'asleep');
        const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
        await once(socket, 'connect');
        return socket;
      },
      async associate(_id, guestPort, onDatagram) {
        guest.asked.push(guestPort);
        if (!guest.reachable) throw new MicrovmUnreachableError('MICROVM_SUSPENDED', 'asleep');
        const { promise: closed, resolve: close } = Promise.withResolvers<void>();
        return {
          closed,
          close,
          send(datagram) {
            onDatagram(Buffer.from(datagram));
            return true;
          },
        };
      },
    },
  };
  return guest;
}

function open(
  t: TestContext,
  store: Store,
  guest: Guest,
  limits: PublishedPortsOptions['limits'] = {},
): PublishedPorts {
  const ports = new PublishedPorts({
    store,
    backend: guest.backend,
    host: '127.0.0.1',
    profile: 'relaxed',
    logger: pino({ level: 'silent' }),
    limits,
  });
  t.after(() => ports.close());
  return ports;
}

async function setUp(t: TestContext, limits?: PublishedPortsOptions['limits']) {
  const store = await openDatabase(':memory:');
  t.after(() => store.destroy());
  const guest = await startGuest(t);
  return { store, guest, ports: open(t, store, guest, limits) };
}

async function echo(port: number, message: string): Promise<string> {
  const socket = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.end(message);
  return await text(socket);
}

async function ask(t: TestContext, port: number, message: string): Promise<string> {
  const socket = createSocket('udp4');
  t.after(() => socket.close());
  socket.send(message, port, '127.0.0.1');
  const [answer] = (await once(socket, 'message')) as [Buffer];
  return answer.toString();
}

/** Resolves when the connection is broken off, whatever way. */
async function broken(socket: Socket): Promise<void> {
  socket.on('error', () => undefined);
  socket.resume();
  await new Promise((resolve) => socket.once('close', resolve));
}

test('a published port carries connections into the guest, half-closed ones too', async (t) => {
  const { guest, ports } = await setUp(t);
  const port = await ports.publish({ microvmId, protocol: 'tcp', guestPort: 6379, allow: loopback });
  assert.ok(port.hostPort > 0);
  assert.equal(await echo(port.hostPort, 'PING\r\n'), 'PING\r\n');
  assert.deepEqual(guest.asked, [6379]);
  assert.deepEqual(await ports.list(microvmId), [port]);
});

test('a published UDP port carries datagrams into the guest and the answers back', async (t) => {
  const { store, guest, ports } = await setUp(t);
  const input = { microvmId, protocol: 'udp', guestPort: 8125, allow: loopback } as const;
  const { hostPort } = await ports.publish(input);
  assert.equal(await ask(t, hostPort, 'ping'), 'ping');
  assert.deepEqual(guest.asked, [8125]);
  await ports.close();
  const next = open(t, store, guest);
  await next.recover();
  assert.equal(await ask(t, hostPort, 'again'), 'again');
  await next.unpublish(input);
  const free = createSocket('udp4');
  free.bind(hostPort, '127.0.0.1');
  await once(free, 'listening');
  free.close();
});

test('one port may be published for TCP and UDP', async (t) => {
  const { ports } = await setUp(t);
  const input = { microvmId, guestPort: 53, allow: loopback } as const;
  const tcp = await ports.publish({ ...input, protocol: 'tcp' });
  const udp = await ports.publish({ ...input, protocol: 'udp', hostPort: tcp.hostPort });
  assert.equal(udp.hostPort, tcp.hostPort);
  assert.equal(await echo(tcp.hostPort, 'stream'), 'stream');
  assert.equal(await ask(t, udp.hostPort, 'datagram'), 'datagram');
});

test('sources outside the allow list, and more connections than allowed, are reset', async (t) => {
  const { guest, ports } = await setUp(t, { connectionsPerPort: 1 });
  const elsewhere = { microvmId, protocol: 'tcp', guestPort: 1, allow: ['10.0.0.0/8'] } as const;
  const closed = await ports.publish(elsewhere);
  await broken(net.connect(closed.hostPort, '127.0.0.1'));
  assert.deepEqual(guest.asked, []);

  const one = await ports.publish({ microvmId, protocol: 'tcp', guestPort: 2, allow: loopback });
  const first = net.connect(one.hostPort, '127.0.0.1');
  first.write('x');
  await once(first, 'data');
  await broken(net.connect(one.hostPort, '127.0.0.1'));
  assert.deepEqual(guest.asked, [2]);
  first.destroy();
});

test('an unreachable guest resets the connection', async (t) => {
  const { guest, ports } = await setUp(t);
  guest.reachable = false;
  const { hostPort } = await ports.publish({ microvmId, protocol: 'tcp', guestPort: 80, allow: loopback });
  await broken(net.connect(hostPort, '127.0.0.1'));
  assert.deepEqual(guest.asked, [80]);
});

test('ports are opened again after a restart, and closed with their microVM', async (t) => {
  const { store, guest, ports } = await setUp(t);
  const { hostPort } = await ports.publish({ microvmId, protocol: 'tcp', guestPort: 80, allow: loopback });
  await ports.close();
  await assert.rejects(once(net.connect(hostPort, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });

  const next = open(t, store, guest);
  await next.recover();
  assert.equal(await echo(hostPort, 'again'), 'again');
  await next.withdrawAll(microvmId);
  await assert.rejects(once(net.connect(hostPort, '127.0.0.1'), 'connect'), { code: 'ECONNREFUSED' });
  assert.deepEqual(await next.list(microvmId), []);
});

test('a port that another process holds after a restart is opened once it is free', async (t) => {
  const { store, guest, ports } = await setUp(t);
  const { hostPort } = await ports.publish({ microvmId, protocol: 'tcp', guestPort: 80, allow: loopback });
  await ports.close();
  const holder = net.createServer((socket) => socket.end('mine')).listen(hostPort, '127.0.0.1');
  await once(holder, 'listening');
  const next = open(t, store, guest, { retryMs: 10 });
  await next.recover();
  holder.close();
  await once(holder, 'close');
  for (;;) {
    const answer = await echo(hostPort, 'ours').catch(() => undefined);
    if (answer === 'ours') break;
    assert.equal(answer, undefined);
  }
});

test('what was published for a microVM that ended meanwhile is forgotten', async (t) => {
  const { store, guest, ports } = await setUp(t);
  await ports.publish({ microvmId, protocol: 'tcp', guestPort: 80, allow: loopback });
  await ports.close();
  guest.state = 'TERMINATED';
  const next = open(t, store, guest);
  await next.recover();
  assert.deepEqual(await next.list(microvmId), []);
});

test('what cannot be published is refused and leaves nothing', async (t) => {
  const { guest, ports } = await setUp(t, { portsPerMicrovm: 2 });
  const input = { microvmId, protocol: 'tcp', guestPort: 80, allow: loopback } as const;
  const { hostPort } = await ports.publish(input);
  await assert.rejects(ports.publish(input), { code: 'ConflictException', message: /already published/ });
  await assert.rejects(ports.publish({ ...input, guestPort: 81, hostPort }), { code: 'ConflictException' });
  await assert.rejects(ports.publish({ ...input, guestPort: 81, allow: ['10.0.0.0/40'] }), {
    code: 'ValidationException',
  });
  await ports.publish({ ...input, guestPort: 81 });
  await assert.rejects(ports.publish({ ...input, guestPort: 82 }), { code: 'ValidationException' });
  await ports.unpublish({ microvmId, protocol: 'tcp', guestPort: 81 });
  await assert.rejects(ports.unpublish({ microvmId, protocol: 'tcp', guestPort: 81 }), {
    code: 'ResourceNotFoundException',
  });
  guest.state = 'TERMINATED';
  await assert.rejects(ports.publish({ ...input, guestPort: 83 }), { message: /has been terminated/ });
});
