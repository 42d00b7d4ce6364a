import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { RunMicrovmCommandOutput } from '@aws-sdk/client-lambda-microvms';
import { dormouse, goingDormouse } from '../support/cli.ts';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';

const statsd = await readFile(new URL('../../examples/statsd/server.py', import.meta.url));
const echoPort = 7007;
/** Says back what it hears, beside the example. It listens before the example does, which the image waits for. */
const main = `import runpy, socket, threading
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", ${echoPort}))
def echo():
    while True:
        datagram, sender = server.recvfrom(65535)
        server.sendto(datagram, sender)
threading.Thread(target=echo, daemon=True).start()
runpy.run_path("/srv/server.py", run_name="__main__")
`;
const context = {
  Dockerfile: 'FROM dormouse/python:3.11\nCOPY server.py main.py /srv/\nCMD ["python3", "/srv/main.py"]\n',
  'server.py': statsd,
  'main.py': main,
};

describe('datagrams into a microVM', { timeout: 600_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;
  let vm: RunMicrovmCommandOutput;

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    const imageArn = await createImage(server, 'statsd', await zip(context));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
    vms = new CounterVms(server, imageArn);
    vm = await vms.run({
      idlePolicy: { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 600, autoResumeEnabled: true },
    });
    await vms.reaches(vm, 'RUNNING');
  });

  after(async () => {
    await server?.stop();
    await removeDataDirectory(directory);
  });

  async function publish(port: number): Promise<number> {
    const words = ['publish', vm.microvmId ?? '', `${port}/udp`, '--allow', '127.0.0.0/8', '--json'];
    const { code, stdout, stderr } = await dormouse(server, words);
    assert.equal(code, 0, stderr);
    return (JSON.parse(stdout) as { hostPort: number }).hostPort;
  }

  async function client(t: TestContext, port: number): Promise<Socket> {
    const socket = createSocket('udp4');
    t.after(() => socket.close());
    socket.connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return socket;
  }

  async function ask(socket: Socket, message: string | Buffer): Promise<Buffer> {
    const answer = once(socket, 'message') as Promise<[Buffer]>;
    socket.send(message);
    return (await answer)[0];
  }

  async function counted(name: string, value: number): Promise<void> {
    for (;;) {
      const token = await vms.tokenFor(vm.microvmId ?? '');
      const { status, body } = await callEndpoint(server.ready, vm.endpoint ?? '', { token });
      assert.equal(status, 200, body);
      const known = (JSON.parse(body) as Record<string, number>)[name] ?? 0;
      if (known === value) return;
      assert.ok(known < value, `${name} is ${known}`);
    }
  }

  test('an echo: over a sleep, and over a restart of the server', async (t) => {
    const port = await publish(echoPort);
    const socket = await client(t, port);
    assert.equal(String(await ask(socket, 'one')), 'one');
    const longest = Buffer.alloc(65_507, 'long');
    assert.ok((await ask(socket, longest)).equals(longest));
    await vms.suspend(vm);
    assert.equal(String(await ask(socket, 'two')), 'two');
    await vms.suspend(vm);
    await server.kill();
    server = await DormouseServer.start(directory);
    vms.server = server;
    assert.equal(String(await ask(socket, 'three')), 'three');
    assert.equal(await vms.state(vm), 'RUNNING');
  });

  test('senders that fire and forget wake a sleeping microVM, and nothing they sent is lost', async (t) => {
    const port = await publish(8125);
    await vms.suspend(vm);
    const senders = await Promise.all(Array.from({ length: 5 }, () => client(t, port)));
    for (const socket of senders) for (let sent = 0; sent < 4; sent += 1) socket.send('woken:1|c');
    await vms.reaches(vm, 'RUNNING');
    // The endpoint moved with the server's restart.
    vm = { ...vm, endpoint: (await vms.describe(vm)).endpoint };
    await counted('woken', 20);
  });

  test('a forwarded port, through the endpoint, with a sleep in between', async (t) => {
    const forward = await goingDormouse(server, ['forward', vm.microvmId ?? '', `${echoPort}:0/udp`]);
    const port = Number(/^127\.0\.0\.1:(\d+)\/udp → /.exec(forward.firstLine)?.[1]);
    const sockets = [await client(t, port), await client(t, port)] as const;
    assert.equal(String(await ask(sockets[0], 'first')), 'first');
    assert.equal(String(await ask(sockets[1], 'second')), 'second');
    await vms.suspend(vm);
    assert.equal(String(await ask(sockets[0], 'awake')), 'awake');
    assert.equal(await forward.interrupt(), 0);
  });
});
