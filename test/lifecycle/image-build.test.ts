import assert from 'node:assert/strict';
import { access, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { locateAssets } from '../../src/assets.ts';
import { greet } from '../../src/images/guest-boot.ts';
import { chooseVmm } from '../../src/vmm/choose-vmm.ts';
import type { Vmm } from '../../src/vmm/vmm.ts';
import type { Context } from '../support/counter-image.ts';
import { ImageRoom } from '../support/image-room.ts';

const resources = [{ minimumMemoryInMiB: 256 }];

/** Answers every request with its process's identity; `behaviour` decides on the hooks. */
function context(behaviour: string): Context {
  return {
    Dockerfile: `FROM dormouse/python:3.11
RUN useradd --uid 4321 --user-group --groups mail app
WORKDIR /srv/app
COPY app.py .
ENV FROM_DOCKERFILE=yes
USER app
ENTRYPOINT ["python3"]
CMD ["-u", "app.py"]
`,
    'app.py': `import http.server, json, os, sys
calls = {}
class App(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body=b''):
        self.send_response(status)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        about = {'uid': os.getuid(), 'groups': sorted(os.getgroups()), 'cwd': os.getcwd(), 'env': dict(os.environ), 'calls': calls}
        self.answer(200, json.dumps(about).encode())
    def do_POST(self):
        hook = self.path.rsplit('/', 1)[1]
        calls[hook] = calls.get(hook, 0) + 1
        print('hook', hook, calls[hook])
        ${behaviour}
    def log_message(self, *args):
        pass
print('started')
http.server.HTTPServer(('127.0.0.1', 8080), App).serve_forever()
`,
  };
}

const friendly = "self.answer(503 if hook == 'ready' and calls[hook] == 1 else 200)";

const hooks = {
  port: 8080,
  microvmImageHooks: {
    ready: 'ENABLED',
    readyTimeoutInSeconds: 120,
    validate: 'ENABLED',
    validateTimeoutInSeconds: 30,
  },
} as const;

describe('builds with a real VM', { timeout: 600_000 }, () => {
  let vmm: Vmm;
  let room: ImageRoom;

  before(async () => {
    ({ vmm } = await chooseVmm('tcg', locateAssets()));
    room = await ImageRoom.open(vmm);
  });
  after(() => room.remove());

  it('freeze the application once it is ready, with its environment, user and directory', async () => {
    await room.create('web', context(friendly), {
      resources,
      hooks,
      environmentVariables: { FROM_CONFIGURATION: 'yes' },
    });
    const version = await room.built('web');
    assert.equal(version.stateReason, null);
    assert.deepEqual([version.state, version.status], ['SUCCESSFUL', 'ACTIVE']);
    assert.deepEqual(await room.leftovers(), []);
    assert.deepEqual(await room.log('web', 'snapshot'), ['started', 'hook ready 1', 'hook ready 2']);
    assert.deepEqual(await room.log('web', 'validate'), ['hook validate 1']);
    const { items } = await room.images.listBuilds('web', '1.0', { limit: 1, after: undefined });
    for (const size of Object.values(items[0]?.snapshotBuild ?? {})) assert.ok(size > 0);
    assert.equal(Object.keys(items[0]?.snapshotBuild ?? {}).length, 3);

    const about = await ask(room, vmm, room.images.snapshotDirectory(version));
    assert.equal(about.uid, 4321);
    assert.deepEqual(about.groups, [8, 4321]);
    assert.equal(about.cwd, '/srv/app');
    // Of the throw-away VM's validation nothing is left.
    assert.deepEqual(about.calls, { ready: 2 });
    const wanted = {
      FROM_DOCKERFILE: 'yes',
      FROM_CONFIGURATION: 'yes',
      HOME: '/home/app',
      AWS_REGION: 'us-east-1',
      AWS_LAMBDA_MICROVM_IMAGE_ARN: version.imageArn,
      AWS_LAMBDA_MICROVM_IMAGE_NAME: 'web',
      AWS_LAMBDA_MICROVM_IMAGE_VERSION: '1.0',
    };
    const found = Object.fromEntries(Object.keys(wanted).map((name) => [name, about.env[name]]));
    assert.deepEqual(found, wanted);
  });

  it('reuse the layers of the build before', async () => {
    await room.images.update('web', {
      baseImageArn: 'arn:aws:lambda:us-east-1:aws:microvm-image:al2023-1',
      buildRoleArn: 'arn:aws:iam::000000000000:role/build',
      codeArtifact: { uri: 's3://artifacts/web' },
      resources,
    });
    await room.built('web', '2.0');
    const image = await room.images.get('web');
    assert.deepEqual([image.state, image.latestActiveImageVersion], ['UPDATED', '2.0']);
    const log = await room.log('web', 'docker', '2.0');
    assert.ok(log.some((line) => line.includes('Using cache')));
  });

  it('fail with the exit code of an application that ends', async () => {
    const leaving = { Dockerfile: 'FROM dormouse/debian:12\nCMD ["sh", "-c", "echo bye; exit 5"]\n' };
    await room.create('leaving', leaving, { resources });
    assert.equal((await room.built('leaving')).stateReason, 'Container Stopped with Exit Code: 5');
    assert.deepEqual(await room.log('leaving', 'snapshot'), ['bye', 'Container Stopped with Exit Code: 5']);
    assert.deepEqual(await room.leftovers(), []);
  });

  it('fail when there is no such program', async () => {
    const absent = { Dockerfile: 'FROM dormouse/debian:12\nCMD ["/no/such/program"]\n' };
    await room.create('absent', absent, { resources });
    const version = await room.built('absent');
    assert.equal(version.stateReason, 'Container Stopped with Exit Code: 127');
    assert.match((await room.log('absent', 'snapshot'))[0] ?? '', /cannot run \/no\/such\/program .*ENOENT/);
    const files = path.dirname(path.dirname(room.images.snapshotDirectory(version)));
    await assert.rejects(access(files));
  });

  it('fail when the ready hook hangs', async () => {
    const hanging = { ...hooks, microvmImageHooks: { ready: 'ENABLED', readyTimeoutInSeconds: 20 } } as const;
    await room.create('hanging', context('import time; time.sleep(600)'), { resources, hooks: hanging });
    const version = await room.built('hanging');
    assert.equal(version.stateReason, 'Ready hook invocation timed out after PT20S');
    const { items } = await room.images.listBuilds('hanging', '1.0', { limit: 1, after: undefined });
    assert.deepEqual(Object.keys(items[0]?.snapshotBuild ?? {}), ['codeInstallSizeInBytes']);
    assert.deepEqual(await room.leftovers(), []);
    await assert.rejects(access(path.dirname(room.images.snapshotDirectory(version))));
  });

  it('fail when validation says no, and keep no snapshot', async () => {
    await room.create('invalid', context("self.answer(500 if hook == 'validate' else 200)"), {
      resources,
      hooks,
    });
    const version = await room.built('invalid');
    assert.equal(
      version.stateReason,
      'Validate hook check failed: the application returned a server error (HTTP 5xx) response',
    );
    assert.deepEqual(await room.leftovers(), []);
    await assert.rejects(access(room.images.snapshotDirectory(version)));
  });
});

interface About {
  readonly uid: number;
  readonly groups: readonly number[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly calls: Readonly<Record<string, number>>;
}

/** Launches a VM from a snapshot, asks its application about itself and ends it. */
async function ask(room: ImageRoom, vmm: Vmm, snapshot: string): Promise<About> {
  const directory = path.join(room.directory, 'launched');
  await mkdir(directory);
  const instance = await vmm.launch({ directory, snapshot });
  try {
    const agent = await greet(instance, AbortSignal.timeout(60_000));
    // It was frozen when it was stored.
    await agent.thaw();
    const connection = await agent.connect(8080);
    connection.write('GET / HTTP/1.0\r\n\r\n');
    const answer = await text(connection);
    agent.close();
    return JSON.parse(answer.slice(answer.indexOf('\r\n\r\n'))) as About;
  } finally {
    await instance.kill();
  }
}
