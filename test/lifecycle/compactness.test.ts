import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { signRequest } from '../../src/api/sigv4/sign.ts';
import { builtImage, createImage, zip } from '../support/counter-image.ts';
import { CounterVms } from '../support/counter-vms.ts';
import { DormouseServer, removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';

const idlePolicy = { maxIdleDurationSeconds: 600, suspendedDurationSeconds: 600, autoResumeEnabled: true };
const usedBytes = 16 * 2 ** 20;

/** Fills much of its disk and memory with what cannot be compressed, and gives all of it back. */
const app = `
import http.server, mmap, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = os.urandom(1 << 20)
        with open("/var/tmp/used", "wb") as file:
            for _ in range(${usedBytes >> 20}): file.write(data)
            os.fsync(file.fileno())
        os.unlink("/var/tmp/used")
        memory = mmap.mmap(-1, ${usedBytes})
        for at in range(0, ${usedBytes}, 1 << 20): memory[at:at + (1 << 20)] = data
        memory.close()
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", 8080), Handler).serve_forever()
`;

describe('a microVM that sleeps again and again', { timeout: 600_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let imageArn: string;

  before(async () => {
    directory = await temporaryDirectory();
    server = await DormouseServer.start(directory);
    const Dockerfile = 'FROM dormouse/python:3.11\nCOPY app.py /app.py\nCMD ["python3", "/app.py"]\n';
    imageArn = await createImage(server, 'user', await zip({ Dockerfile, 'app.py': app }));
    assert.deepEqual(await builtImage(server, imageArn), { state: 'CREATED', reason: '' });
  });

  after(async () => {
    await server.stop();
    await removeDataDirectory(directory);
  });

  async function sizeOf(microvmId: string): Promise<number> {
    const url = new URL(`/dormouse/v1/microvms/${microvmId}`, server.ready.apiEndpoint);
    const headers = signRequest(
      { method: 'GET', url },
      { credentials: server.ready, region: server.ready.region, service: 'lambda' },
    );
    return ((await (await fetch(url, { headers })).json()) as { diskBytes: number }).diskBytes;
  }

  test('stores what it holds, not what it has held, and does not grow', async () => {
    const vms = new CounterVms(server, imageArn);
    const vm = await vms.run({ idlePolicy });
    const token = await vms.tokenFor(vm.microvmId ?? '');
    const sizes: number[] = [];
    for (let cycle = 0; cycle < 5; cycle += 1) {
      assert.equal((await callEndpoint(server.ready, vm.endpoint ?? '', { token })).status, 200);
      await vms.suspend(vm);
      sizes.push(await sizeOf(vm.microvmId ?? ''));
    }
    const [first = 0] = sizes;
    assert.ok(first < usedBytes / 2, `what was given back is stored: ${sizes}`);
    assert.ok(Math.max(...sizes) < first * 1.4, `grows with the cycles: ${sizes}`);
    await vms.terminate(vm);
  });
});
