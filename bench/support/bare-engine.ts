import { randomUUID } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { locateAssets } from '../../src/assets.ts';
import { requestIdHeader } from '../../src/endpoint/headers.ts';
import type { GuestAgent } from '../../src/guest/guest-agent.ts';
import { openSession, renewIdentity } from '../../src/microvms/guest-session.ts';
import { systemClock } from '../../src/model/clock.ts';
import { chooseVmm } from '../../src/vmm/choose-vmm.ts';
import type { Vmm, VmmInstance } from '../../src/vmm/vmm.ts';
import { timed } from './laboratory.ts';

const port = 8080;

/** One VM without a server: what the VMM alone takes for it, in milliseconds. */
export class BareVm {
  readonly #vmm: Vmm;
  readonly #snapshot: string;
  readonly #directory: string;
  #guest: { readonly instance: VmmInstance; readonly agent: GuestAgent } | undefined;

  private constructor(vmm: Vmm, snapshot: string, directory: string) {
    this.#vmm = vmm;
    this.#snapshot = snapshot;
    this.#directory = directory;
  }

  /** @param directory a new one for the VM; removed by {@link end} */
  static async prepare(snapshot: string, directory: string): Promise<BareVm> {
    const { vmm } = await chooseVmm('auto', locateAssets());
    return new BareVm(vmm, snapshot, directory);
  }

  /** Restored from the snapshot, and itself: what a server does before a VM is RUNNING. */
  async launch(): Promise<number> {
    await rm(this.#directory, { recursive: true, force: true });
    await mkdir(this.#directory, { mode: 0o700 });
    return await timed(() => this.#begin('launch'));
  }

  /** Of the process that runs. */
  get pid(): number {
    return this.#running().instance.pid;
  }

  /** Stored and durable. Its process ends after that, as a server's does. */
  async suspend(): Promise<number> {
    const { instance, agent } = this.#running();
    const suspended = await timed(async () => {
      await agent.sync({ dropCaches: false });
      await agent.quiesce();
      await instance.suspend({ keepProcess: true });
    });
    await instance.kill();
    return suspended;
  }

  async resume(): Promise<number> {
    return await timed(() => this.#begin('resume'));
  }

  /** The request that an endpoint makes of one to it, over a connection of its own. */
  async get(): Promise<number> {
    const { agent } = this.#running();
    return await timed(async () => {
      const connection = await agent.connect(port);
      connection.write(`GET / HTTP/1.1\r\nhost: bench\r\n${requestIdHeader}: ${randomUUID()}\r\n\r\n`);
      const status = await statusOfAnswer(connection);
      if (status !== '200') throw new Error(`the application answered ${status}`);
      connection.destroy();
    });
  }

  /** Stored in another directory, while it pauses; then it goes on. */
  async fork(): Promise<number> {
    const { instance } = this.#running();
    const directory = `${this.#directory}-fork`;
    await mkdir(directory, { mode: 0o700 });
    try {
      return await timed(() => instance.fork([directory]));
    } finally {
      await rm(directory, { recursive: true });
    }
  }

  async end(): Promise<void> {
    this.#guest?.agent.close();
    await this.#guest?.instance.kill();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #running(): { readonly instance: VmmInstance; readonly agent: GuestAgent } {
    if (this.#guest === undefined) throw new Error('the VM does not run');
    return this.#guest;
  }

  async #begin(how: 'launch' | 'resume'): Promise<void> {
    const instance = await this.#vmm[how]({ directory: this.#directory, snapshot: this.#snapshot });
    const agent = await openSession(instance);
    await renewIdentity(agent, systemClock, how === 'launch' ? 'bench' : undefined);
    this.#guest = { instance, agent };
  }
}

/** The status of a response, once all of it has come. */
async function statusOfAnswer(connection: Duplex): Promise<string | undefined> {
  let answer = '';
  for await (const chunk of connection.iterator({ destroyOnReturn: false })) {
    answer += String(chunk);
    const length = /^content-length: (\d+)/im.exec(answer)?.[1];
    const head = answer.indexOf('\r\n\r\n');
    if (head >= 0 && length !== undefined && answer.length >= head + 4 + Number(length)) break;
  }
  return /^HTTP\/1\.\d (\d+)/.exec(answer)?.[1];
}
