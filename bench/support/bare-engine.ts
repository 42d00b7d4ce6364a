import { mkdir, rm } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { locateAssets } from '../../src/assets.ts';
import type { GuestAgent } from '../../src/guest/guest-agent.ts';
import { openSession, renewIdentity } from '../../src/microvms/guest-session.ts';
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

  /** Stored, durable, its process gone. */
  async suspend(): Promise<number> {
    const { instance, agent } = this.#running();
    return await timed(async () => {
      await agent.sync({ dropCaches: false });
      await agent.quiesce();
      await instance.suspend();
    });
  }

  async resume(): Promise<number> {
    return await timed(() => this.#begin('resume'));
  }

  /** A request to the application, over a connection of its own. */
  async get(): Promise<number> {
    const { agent } = this.#running();
    return await timed(async () => {
      const connection = await agent.connect(port);
      connection.write('GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n');
      const answer = await text(connection);
      if (!answer.startsWith('HTTP/1.1 200') && !answer.startsWith('HTTP/1.0 200')) throw new Error(answer);
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
    await renewIdentity(agent, how === 'launch' ? 'bench' : undefined);
    this.#guest = { instance, agent };
  }
}
