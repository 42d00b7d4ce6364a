import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { RunMicrovmCommandOutput } from '@aws-sdk/client-lambda-microvms';
import { managedConnectorArn } from '../../src/model/arn.ts';
import { dormouse } from '../support/cli.ts';
import type { CounterVms } from '../support/counter-vms.ts';
import type { DormouseServer } from '../support/dormouse-server.ts';
import { callEndpoint } from '../support/endpoint-client.ts';
import { removeServer, startServerWithImage } from '../support/server-with-image.ts';

/** Answers only after the seconds that the path names. */
const app = `import http.server, time
class App(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        time.sleep(float(self.path[1:] or 0))
        body = b'done'
        self.send_response(200)
        self.send_header('content-length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(('', 8080), App).serve_forever()
`;
const dockerfile = 'FROM dormouse/python:3.11\nCOPY app.py /\nEXPOSE 8080\nCMD ["python3", "/app.py"]\n';

/** Seconds without activity until it sleeps, and that what is under way takes: the ends of both are looked at. */
const idleSeconds = 3;
const workSeconds = 10;
const idlePolicy = {
  maxIdleDurationSeconds: idleSeconds,
  suspendedDurationSeconds: 3600,
  autoResumeEnabled: true,
};

describe('what is under way in a microVM with an idle policy', { timeout: 900_000 }, () => {
  let directory: string;
  let server: DormouseServer;
  let vms: CounterVms;

  before(async () => {
    ({ directory, server, vms } = await startServerWithImage('slow', {
      Dockerfile: dockerfile,
      'app.py': app,
    }));
  });

  after(async () => {
    await removeServer(directory, server);
  });

  async function started(...activity: readonly string[]): Promise<RunMicrovmCommandOutput> {
    const { region } = server.ready;
    const ingressNetworkConnectors = [
      managedConnectorArn(region, 'HTTP_INGRESS'),
      managedConnectorArn(region, 'SHELL_INGRESS'),
    ];
    const vm = await vms.run({ idlePolicy, ingressNetworkConnectors });
    await vms.reaches(vm, 'RUNNING');
    for (const settings of activity) {
      assert.equal((await dormouse(server, ['activity', vm.microvmId ?? '', settings])).code, 0);
    }
    return vm;
  }

  async function ask(vm: RunMicrovmCommandOutput, seconds: number) {
    const token = await vms.tokenFor(vm.microvmId ?? '');
    return await callEndpoint(server.ready, vm.endpoint ?? '', { token, path: `/${seconds}` });
  }

  const work = ['sh', '-c', `sleep ${workSeconds}; echo done`];

  test('it keeps the microVM awake until it is done', async () => {
    const vm = await started();
    const answer = await ask(vm, workSeconds);
    assert.deepEqual([answer.status, answer.body], [200, 'done']);
    const command = await dormouse(server, ['exec', vm.microvmId ?? '', '--', ...work]);
    assert.deepEqual([command.code, command.stdout], [0, 'done\n']);
    await vms.reaches(vm, 'SUSPENDED');
    await vms.terminate(vm);
  });

  test('where only bytes are to count, what is cut says why, and what to do', async () => {
    const vm = await started('bytes');
    const answer = await ask(vm, workSeconds);
    assert.equal(answer.status, 502);
    assert.match(answer.body, /put to sleep.*dormouse activity VM requests/);
    assert.equal((await ask(vm, 0)).status, 200);
    const command = await dormouse(server, ['exec', vm.microvmId ?? '', '--', ...work]);
    assert.equal(command.code, 1);
    assert.match(command.stderr, /put to sleep.*dormouse activity VM exec/);
    await vms.terminate(vm);
  });
});
