import assert from 'node:assert/strict';
import {
  CreateMicrovmAuthTokenCommand,
  GetMicrovmCommand,
  type GetMicrovmCommandOutput,
  RunMicrovmCommand,
  type RunMicrovmCommandInput,
  type RunMicrovmCommandOutput,
  SuspendMicrovmCommand,
  TerminateMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import type { ServerClients } from './dormouse-server.ts';
import { callEndpoint } from './endpoint-client.ts';

/** What `GET /` of the counter example answers. */
export interface Counter {
  readonly memory: number;
  readonly disk: number;
  readonly pid: number;
  readonly instance: string;
  readonly openFileOffset: number;
  readonly hostname: string;
  readonly random: string;
}

const pollMs = 100;

/** MicroVMs of the counter example, driven over the official SDK. */
export class CounterVms {
  readonly #imageArn: string;
  /** Replaced by a test that starts its server anew. */
  server: ServerClients;

  constructor(server: ServerClients, imageArn: string) {
    this.server = server;
    this.#imageArn = imageArn;
  }

  async run(members: Partial<RunMicrovmCommandInput> = {}): Promise<RunMicrovmCommandOutput> {
    return await this.server.client.send(
      new RunMicrovmCommand({ imageIdentifier: this.#imageArn, ...members }),
    );
  }

  async tokenFor(microvmId: string, ports: readonly number[] = [8080, 9000]): Promise<string> {
    const answer = await this.server.client.send(
      new CreateMicrovmAuthTokenCommand({
        microvmIdentifier: microvmId,
        expirationInMinutes: 5,
        allowedPorts: ports.map((port) => ({ port })),
      }),
    );
    const token = answer.authToken?.['X-aws-proxy-auth'];
    assert.ok(token);
    return token;
  }

  async count(vm: RunMicrovmCommandOutput): Promise<Counter> {
    const token = await this.tokenFor(vm.microvmId ?? '');
    const answer = await callEndpoint(this.server.ready, vm.endpoint ?? '', { token });
    assert.equal(answer.status, 200, `${answer.headers['x-aws-proxy-error']} ${answer.body}`);
    return JSON.parse(answer.body) as Counter;
  }

  async describe(vm: RunMicrovmCommandOutput): Promise<GetMicrovmCommandOutput> {
    return await this.server.client.send(new GetMicrovmCommand({ microvmIdentifier: vm.microvmId }));
  }

  async state(vm: RunMicrovmCommandOutput): Promise<string> {
    return (await this.describe(vm)).state ?? '';
  }

  /** The service has no event for a state, so clients poll. A VM that ended instead fails the test. */
  async reaches(vm: RunMicrovmCommandOutput, wanted: string): Promise<void> {
    for (;;) {
      const state = await this.state(vm);
      if (state === wanted) return;
      assert.notEqual(state, 'TERMINATED', `the microVM ended before it was ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, pollMs));
    }
  }

  async suspend(vm: RunMicrovmCommandOutput): Promise<void> {
    await this.server.client.send(new SuspendMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    await this.reaches(vm, 'SUSPENDED');
  }

  async terminate(vm: RunMicrovmCommandOutput): Promise<void> {
    await this.server.client.send(new TerminateMicrovmCommand({ microvmIdentifier: vm.microvmId }));
    await this.reaches(vm, 'TERMINATED');
  }
}

/** The application's memory, disk, process and open file went on as if nothing had happened. */
export function continues(before: Counter, now: Counter): void {
  assert.deepEqual(
    { memory: now.memory, disk: now.disk, pid: now.pid, instance: now.instance },
    { memory: before.memory + 1, disk: before.disk + 1, pid: before.pid, instance: before.instance },
  );
  assert.ok(now.openFileOffset > before.openFileOffset);
}
