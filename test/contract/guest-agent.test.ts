import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createCipheriv, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { after, before, beforeEach, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { type GuestAgent, GuestConnectError } from '../../src/guest/guest-agent.ts';
import { openGuestAgent } from '../../src/guest/session.ts';
import { encodeFrame, frame, headerBytes, hostMagic, maximumPayload, u32 } from '../../src/guest/wire.ts';
import { protocolVersion } from '../../src/model/agent-protocol.ts';
import { AgentProcess } from './agent-process.ts';

const megabyte = 1024 * 1024;
const user = { env: { PATH: '/usr/bin:/bin' }, workdir: '/', uid: 0, gid: 0 } as const;

const fuzzSeed = 20;

/** The same bytes for the same seed. */
function noiseOf(seed: number): (count: number) => Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  return (count) => cipher.update(Buffer.alloc(count));
}

async function listen(onConnection: (socket: Socket) => void): Promise<Server & { port: number }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // The end of a session resets what is left of its connections.
    onConnection(socket.on('error', () => undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

/** Repeats its greeting soon, since the first is lost where the guest waits for the rest of a frame. */
async function greet(channel: Socket): Promise<GuestAgent> {
  const start = performance.now();
  for (;;) {
    try {
      return await openGuestAgent(channel, { helloTimeoutMs: 600 });
    } catch (error) {
      if (performance.now() - start > 60_000) throw error;
    }
  }
}

describe('guest agent, the real program', { timeout: 240_000 }, () => {
  let program: AgentProcess;
  let echo: Server & { port: number };
  let agent: GuestAgent;

  before(async () => {
    program = await AgentProcess.start();
    echo = await listen((socket) => socket.on('error', () => undefined).pipe(socket));
  });
  after(async () => {
    agent?.close();
    echo.close();
    await program.stop();
  });
  beforeEach(async () => {
    agent?.close();
    agent = await openGuestAgent(await program.channel(), { helloTimeoutMs: 60_000 });
  });

  it('names its build and knows no application yet', async () => {
    assert.match(agent.build, /^[0-9a-f]{16}$/);
    assert.deepEqual(await agent.appStatus(), { state: 'not-started' });
  });

  it('carries much data both ways to a reader that pauses', async () => {
    const sent = randomBytes(4 * megabyte);
    const stream = await agent.connect(echo.port);
    stream.end(sent);
    const received: Buffer[] = [];
    for await (const chunk of stream) {
      received.push(chunk as Buffer);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(Buffer.concat(received).equals(sent));
  });

  it('wakes a stream that filled up while nobody read', async () => {
    const source = await listen((socket) => socket.end(Buffer.alloc(2 * megabyte, 7)));
    const stream = await agent.connect(source.port);
    const other = await agent.connect(echo.port);
    other.end('still served');
    assert.equal(await text(other), 'still served');
    assert.equal((await buffer(stream)).length, 2 * megabyte);
    source.close();
  });

  it('passes on a half-close and goes on delivering', async () => {
    const server = await listen((socket) => {
      socket.resume().on('end', () => socket.end('after your end'));
    });
    const stream = await agent.connect(server.port);
    stream.end('request');
    assert.equal(await text(stream), 'after your end');
    server.close();
  });

  it('closes a connection that the host has ended and forgets, and resets one that it breaks off', async () => {
    const ends = new Map<string, string>();
    const closed = Promise.withResolvers<void>();
    const server = await listen((socket) => {
      let name = '';
      socket.on('data', (data) => {
        name += String(data);
        socket.write('heard');
      });
      socket.on('end', () => ends.set(name, 'ended'));
      socket.on('error', (error: NodeJS.ErrnoException) => ends.set(name, String(error.code)));
      // Half open: one that is ended goes on here.
      for (const event of ['end', 'error']) socket.on(event, () => ends.size === 2 && closed.resolve());
    });
    for (const name of ['whole', 'broken']) {
      const stream = await agent.connect(server.port);
      stream.write(name);
      await once(stream, 'data');
      if (name === 'whole') stream.end(() => stream.destroy());
      else stream.destroy();
      await once(stream, 'close');
    }
    await closed.promise;
    // A reset behind the end would have come before anything that is asked of the agent now.
    await agent.appStatus();
    assert.deepEqual([ends.get('whole'), ends.get('broken')], ['ended', 'ECONNRESET']);
    server.close();
  });

  it('names the errno of a refused port', async () => {
    const server = await listen(() => undefined);
    const { port } = server;
    server.close();
    await once(server, 'close');
    await assert.rejects(
      agent.connect(port),
      (error) => error instanceof GuestConnectError && error.errno === 'ECONNREFUSED',
    );
  });

  it('serves 200 streams at once', async () => {
    const answers = Array.from({ length: 200 }, async (_, index) => {
      const stream = await agent.connect(echo.port);
      stream.end(`stream ${index}`);
      return text(stream);
    });
    assert.deepEqual(
      await Promise.all(answers),
      answers.map((_, index) => `stream ${index}`),
    );
  });

  it('runs a command with separate outputs, exit code and end of input', async () => {
    const session = await agent.exec({ ...user, argv: ['sh', '-c', 'cat; echo oops >&2; exit 7'] });
    session.stdio.end('typed');
    assert.deepEqual(await Promise.all([text(session.stdio), text(session.stderr), session.exit]), [
      'typed',
      'oops\n',
      { code: 7, signal: 0 },
    ]);
  });

  it('delivers all output of a command that ended long before', async () => {
    const session = await agent.exec({ ...user, argv: ['head', '-c', '3000000', '/dev/zero'] });
    const [output, exit] = await Promise.all([buffer(session.stdio), session.exit]);
    assert.equal(output.length, 3_000_000);
    assert.deepEqual(exit, { code: 0, signal: 0 });
  });

  it('reports the signal that ended a command', async () => {
    const session = await agent.exec({ ...user, argv: ['sleep', '100'] });
    session.stdio.resume();
    session.signal(15);
    assert.deepEqual(await session.exit, { code: 143, signal: 15 });
  });

  it('refuses a command that does not exist', async () => {
    await assert.rejects(agent.exec({ ...user, argv: ['no-such-program'] }), { code: 'ENOENT' });
  });

  it('leaves a detached command running, and tells how its start went', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'dormouse-detached-'));
    const [gate, result] = [path.join(directory, 'gate'), path.join(directory, 'result')];
    const script = `read line <${gate}; out=$(readlink /proc/$$/fd/1); echo "$(cat)" $out >${result}`;
    try {
      await promisify(execFile)('mkfifo', [gate, result]);
      const session = await agent.exec({ ...user, argv: ['sh', '-c', script], detach: true });
      const ended = [text(session.stdio), text(session.stderr), session.exit];
      assert.deepEqual(await Promise.all(ended), ['', '', { code: 0, signal: 0 }]);
      // Not even the end of the host's session ends it.
      agent.close();
      agent = await openGuestAgent(await program.channel(), { helloTimeoutMs: 60_000 });
      await writeFile(gate, 'go\n');
      assert.equal(await readFile(result, 'utf8'), ' /dev/null\n');
    } finally {
      await rm(directory, { recursive: true });
    }
    const absent = agent.exec({ ...user, argv: ['no-such-program'], detach: true });
    await assert.rejects(absent, { code: 'ENOENT' });
  });

  it('says what is more than Linux takes, where only Linux can tell', async () => {
    // Each word counts with a pointer to it.
    const argv = ['true', ...Array.from({ length: 215_000 }, () => 'a')];
    await assert.rejects(agent.exec({ ...user, argv }), { code: 'E2BIG', message: /more than Linux takes/ });
  });

  it('says whether the user or the group is not there', async () => {
    const asUser = (name: string) => agent.exec({ argv: ['true'], user: name });
    await assert.rejects(asUser('nosuch:root'), { code: 'ESRCH', message: 'the image has no user nosuch' });
    await assert.rejects(asUser('root:nosuch'), {
      code: 'ENODATA',
      message: 'the image has no group nosuch',
    });
  });

  it('gives a terminal its size and changes it', async () => {
    const session = await agent.exec({
      ...user,
      argv: ['sh', '-c', 'stty size; read line; stty size'],
      pty: { columns: 91, rows: 17 },
    });
    let shown = '';
    for await (const chunk of session.stdio) {
      shown += String(chunk);
      if (!shown.endsWith('17 91\r\n')) continue;
      session.resize(120, 40);
      session.stdio.write('\n');
    }
    assert.match(shown, /17 91[\s\S]*40 120/);
    assert.deepEqual(await session.exit, { code: 0, signal: 0 });
  });

  it('ends its streams when it quiesces, and answers the next session', async () => {
    const stream = await agent.connect(echo.port);
    const closed = new Promise<void>((resolve) => stream.on('error', () => undefined).on('close', resolve));
    await agent.quiesce();
    await closed;
    agent = await openGuestAgent(await program.channel(), { helloTimeoutMs: 60_000 });
    assert.equal((await agent.appStatus()).state, 'not-started');
  });

  it('starts a new session on a channel where the old one stopped at any byte of a frame', async () => {
    agent.close();
    const request = encodeFrame(0, frame.request, Buffer.concat([u32(1), Buffer.of(2), Buffer.alloc(40)]));
    for (let cut = 0; cut <= request.length; cut++) {
      const channel = await program.channel();
      // No hang-up in between: after a snapshot the guest may not see one.
      const hello = Buffer.concat([hostMagic, u32(protocolVersion), randomBytes(16)]);
      channel.write(Buffer.concat([hello, request.subarray(0, cut)]));
      const next = await greet(channel);
      assert.equal((await next.appStatus()).state, 'not-started', `cut at ${cut}`);
      next.close();
    }
  });

  it('starts a new session in the middle of the longest frame', async () => {
    agent.close();
    const channel = await program.channel();
    const longest = encodeFrame(1, frame.data, Buffer.alloc(maximumPayload));
    const hello = Buffer.concat([hostMagic, u32(protocolVersion), randomBytes(16)]);
    channel.write(Buffer.concat([hello, longest.subarray(0, headerBytes)]));
    agent = await greet(channel);
    assert.equal((await agent.appStatus()).state, 'not-started');
  });

  it('survives arbitrary frames from the host', async () => {
    agent.close();
    const noise = noiseOf(fuzzSeed);
    for (let round = 0; round < 60; round++) {
      const channel = await program.channel();
      const hello = Buffer.concat([hostMagic, u32(protocolVersion), randomBytes(16)]);
      const frames = Array.from({ length: 50 }, () => {
        const [stream = 0, type = 0, size = 0] = noise(3);
        // The clock and the entropy of the machine that runs the test are not the test's to change.
        const payload = stream % 4 === 0 ? Buffer.alloc(size) : noise(size);
        return encodeFrame(stream % 4, type % 22, payload);
      });
      channel.on('error', () => undefined).resume();
      channel.write(Buffer.concat([hello, ...frames, noise(100)]));
      channel.end();
      await once(channel, 'close');
    }
    agent = await openGuestAgent(await program.channel(), { helloTimeoutMs: 60_000 });
    assert.equal((await agent.appStatus()).state, 'not-started');
  });

  it('runs the application, keeps what it said before anybody listened, and reports its end', async () => {
    await agent.startApp({
      ...user,
      argv: ['sh', '-c', 'echo hello; exit 3'],
      supplementaryGids: [],
      hostname: 'localhost',
      capabilities: 'default',
    });
    assert.deepEqual(await agent.appExit(), { state: 'exited', code: 3, signal: 0 });
    const said: string[] = [];
    agent.onLog(
      (source, chunk) => said.push(`${source}: ${Buffer.from(chunk)}`),
      () => assert.fail(),
    );
    assert.deepEqual(said, ['stdout: hello\n']);
  });
});

describe('a guest agent whose application has ended with 0', { timeout: 120_000 }, () => {
  let program: AgentProcess;

  before(async () => {
    program = await AgentProcess.start();
  });
  after(() => program.stop());

  it('starts another once, or holds the place of one', async () => {
    const agent = await openGuestAgent(await program.channel(), { helloTimeoutMs: 60_000 });
    const spec = { ...user, supplementaryGids: [], hostname: 'localhost', capabilities: 'default' } as const;
    await agent.startApp({ ...spec, argv: ['true'] });
    await agent.appExit();
    await agent.startApp({ ...spec, argv: [] });
    assert.deepEqual(await agent.appStatus(), { state: 'running' });
    await assert.rejects(agent.startApp({ ...spec, argv: ['true'] }), /EALREADY/);
    const session = await agent.exec({ ...user, argv: ['sh', '-c', 'exit 5'] });
    session.stdio.end();
    assert.deepEqual(await session.exit, { code: 5, signal: 0 });
    agent.close();
  });
});

describe('a guest agent with a slow disk', { timeout: 120_000 }, () => {
  let program: AgentProcess;

  before(async () => {
    program = await AgentProcess.startWithSlowDisk();
  });
  after(() => program.stop());

  it('answers everything else while it waits, and then for the disk', async () => {
    const agent = await openGuestAgent(await program.channel(), { helloTimeoutMs: 60_000 });
    let written = false;
    const writing = agent.sync({ dropCaches: false }).then(() => {
      written = true;
    });
    for (let round = 0; round < 3; round += 1) await agent.stats();
    assert.equal(written, false);
    await program.releaseDisk();
    await writing;
    agent.close();
  });
});
