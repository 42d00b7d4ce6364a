import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { managedConnectorArn } from '../../src/model/arn.ts';
import { parseMetrics } from '../../src/telemetry/metrics-for-test.ts';
import { dormouse } from '../support/cli.ts';
import type { CounterVms } from '../support/counter-vms.ts';
import type { DormouseServer } from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';
import { removeServer, startServerWithImage } from '../support/server-with-image.ts';
import { until } from '../support/until.ts';

/** Prints line feeds without end once it is asked to. */
const app = `import http.server, os, threading
def flood():
    while True: os.write(1, b'\\n' * 65536)
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == '/flood': threading.Thread(target=flood, daemon=True).start()
        self.send_response(200)
        self.send_header('content-length', '0')
        self.end_headers()
    def log_message(self, *arguments): pass
http.server.ThreadingHTTPServer(('', 8080), App).serve_forever()
`;
/** A step prints 64 MiB, most of it in no time. */
const dockerfile = `FROM dormouse/python:3.11
RUN python3 -c "import os; [os.write(1, b'\\\\n' * 65536) for _ in range(1024)]"; echo the step ends
COPY app.py /
EXPOSE 8080
CMD ["python3", "/app.py"]
`;

const buildMetric = 'dormouse_build_output_dropped_bytes_total';
const microvmMetric = 'dormouse_microvm_output_dropped_bytes_total';

describe('what prints without end', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;

  before(async () => {
    ({ directory, server, vms } = await startServerWithImage('flood', {
      Dockerfile: dockerfile,
      'app.py': app,
    }));
  });

  after(async () => {
    await removeServer(directory, server);
  });

  async function metric(name: string): Promise<number> {
    const response = await fetch(new URL('/metrics', server.ready.apiEndpoint));
    return parseMetrics(await response.text()).get(name) ?? 0;
  }

  test('a build has its log at a rate, and its last words', async () => {
    const { stdout } = await dormouse(server, ['logs', 'flood']);
    const lines = stdout.split('\n');
    assert.ok(lines.some((line) => line.includes('the step ends')));
    assert.ok(lines.some((line) => /\[\d+ bytes of output dropped\]/.test(line)));
    assert.ok((await metric(buildMetric)) > 0);
  });

  test('a microVM has, too, and it and others answer and sleep as ever', async () => {
    const ingressNetworkConnectors = [managedConnectorArn(server.ready.region, 'HTTP_INGRESS')];
    const [noisy, quiet] = [
      await vms.run({ ingressNetworkConnectors }),
      await vms.run({ ingressNetworkConnectors }),
    ];
    for (const vm of [noisy, quiet]) await vms.reaches(vm, 'RUNNING');
    const ask = async (vm: typeof noisy, path: string): Promise<number> => {
      const token = await vms.tokenFor(vm.microvmId ?? '');
      return (await callEndpoint(server.ready, vm.endpoint ?? '', { token, path })).status;
    };
    assert.equal(await ask(noisy, '/flood'), 200);
    await until('output is dropped', async () => (await metric(microvmMetric)) > 0);
    for (let round = 0; round < 20; round += 1) assert.equal(await ask(quiet, '/'), 200);
    assert.equal(await ask(noisy, '/'), 200);
    await vms.suspend(noisy);
    await vms.reaches(noisy, 'SUSPENDED');
    const { stdout } = await dormouse(server, ['logs', noisy.microvmId ?? '']);
    assert.match(stdout, /\[\d+ bytes of output dropped\]/);
    for (const vm of [noisy, quiet]) await vms.terminate(vm);
  });
});
