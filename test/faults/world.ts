import './seam/register.ts';
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { Duplex } from 'node:stream';
import { pino } from 'pino';
import type { ImageBuilder } from '../../src/images/image-builder.ts';
import type { ImageService } from '../../src/images/image-service.ts';
import type { MicrovmService, RunInput } from '../../src/microvms/microvm-service.ts';
import type { Microvm } from '../../src/model/microvm.ts';
import type { WarmPoolPolicy } from '../../src/model/warm-pool.ts';
import type { Store } from '../../src/store/database.ts';
import type { Metrics as MetricsType } from '../../src/telemetry/metrics.ts';
import type { Confinement as Confined } from '../../src/vmm/qemu/confinement.ts';
import type { Vmm } from '../../src/vmm/vmm.ts';
import { processesIn } from '../contract/on-the-host.ts';
import { type FakeMachine, sharedFakeMachine } from '../fake-machine/fake-machine.ts';
import { until } from '../support/until.ts';
import { application, appPort, imageArn, imageInput, memoryMib, realm } from './image-of-world.ts';
import { DurableDisk } from './power/durable-disk.ts';
import { quickScratchRoot } from './scratch-root.ts';
import { CrashedError, ServerProcess } from './server-process.ts';
import { WorldClock } from './world-clock.ts';

const { ensureDirectory } = await import('../../src/blobs/durable.ts');
const { ImagePaths } = await import('../../src/images/image-paths.ts');
const { Images } = await import('../../src/images/images.ts');
const { platformError } = await import('../../src/images/build-failure.ts');
const { buildSnapshot } = await import('../../src/images/snapshot-build.ts');
const { makeVersionDirectory } = await import('../../src/images/version-directory.ts');
const { createMicrovmService } = await import('../../src/microvms/service.ts');
const { openDatabase } = await import('../../src/store/database.ts');
const { Metrics } = await import('../../src/telemetry/metrics.ts');
const { FileLogStore } = await import('../../src/telemetry/file-log-store.ts');
const { Confinement } = await import('../../src/vmm/qemu/confinement.ts');
const { createQemuVmm } = await import('../../src/vmm/qemu/qemu-vmm.ts');

const connectors = { requireActive: () => undefined };
const answerTimeoutMs = 60_000;
const defaultTickMs = 20;

/** What the fake machine's application answers. */
export interface Answer {
  readonly memory: number;
  readonly disk: number;
  readonly random: string;
  readonly instance: string;
  readonly hostname: string;
  readonly runs: number;
  readonly resumes: number;
  readonly suspends: number;
}

/** A server of the engine: the real store, images, lifecycle and QEMU driver, on the fake machine. */
export interface Server {
  readonly process: ServerProcess;
  readonly images: ImageService;
  readonly microvms: MicrovmService;
  readonly metrics: MetricsType;
  readonly store: Store;
}

/** What is off unless a test is about it. */
export interface WorldOptions {
  /** Where the data directory lies; in memory where there is such a place, when absent. */
  readonly scratchRoot?: string;
  /** URL of the metadata store; a file of the data directory when absent. */
  readonly database?: string;
  readonly wakeCacheBytes?: number;
  readonly warmPool?: WarmPoolPolicy;
  /** By how much the world's clock goes on in a millisecond that a test waits. */
  readonly tickMs?: number;
  /** Virtual CPUs of all microVMs that are awake, of which each has one; endless when absent. */
  readonly mostVcpus?: number;
  /** Whether it is recorded what a loss of power would leave. */
  readonly losesPower?: boolean;
}

/** One host: a data directory, its machines, and one server after another. */
export class World {
  readonly clock = new WorldClock();
  readonly directory: string;
  readonly machine: FakeMachine;
  readonly disk: DurableDisk | undefined;
  readonly #options: WorldOptions;
  #confinement: Confined | undefined;
  #server: Server | undefined;
  #killing = Promise.resolve();

  private constructor(directory: string, machine: FakeMachine, options: WorldOptions) {
    this.directory = directory;
    this.machine = machine;
    this.#options = options;
    if (options.losesPower) this.disk = new DurableDisk(directory, path.join(directory, '../copies'));
  }

  /** A host like this one, on a data directory that a server has left. */
  withPowerAgain(directory: string): World {
    const world = new World(directory, this.machine, {});
    // What this machine allows has been found out.
    world.#confinement = this.#confinement;
    return world;
  }

  /** A host with one built image and a running server. */
  static async create(options: WorldOptions = {}): Promise<World> {
    const scratch = await realpath(
      await mkdtemp(path.join(options.scratchRoot ?? (await quickScratchRoot()), 'dormouse-faults-')),
    );
    const directory = path.join(scratch, 'data');
    await mkdir(directory);
    const machine = await sharedFakeMachine();
    const world = new World(directory, machine, options);
    if (options.losesPower) {
      const { assets, binary } = machine.options;
      world.#confinement = await Confinement.find({ jail: assets.vmmJail, binary });
    }
    const server = await world.start();
    await server.process.run(() => server.images.create({ ...imageInput, name: 'web' }));
    await world.imageSettles('CREATING');
    return world;
  }

  async destroy(): Promise<void> {
    this.#server?.process.crash();
    await this.killMachines();
    await rm(path.dirname(this.directory), { recursive: true, force: true });
  }

  get server(): Server {
    assert.ok(this.#server, 'no server runs');
    return this.#server;
  }

  /** Starts a server on what the last one left, with `process` as its own; rejects when it crashes meanwhile. */
  async start(process = new ServerProcess(this.directory, this.disk)): Promise<Server> {
    this.#server = await this.#within(process, () => this.#compose(process));
    return this.#server;
  }

  /** Ends the server as by SIGKILL and starts another. */
  async crashAndStart(): Promise<Server> {
    this.#server?.process.crash();
    return await this.start();
  }

  async stop(): Promise<void> {
    const { process, images, microvms, store } = this.server;
    await process.run(async () => {
      await images.close();
      await microvms.close();
      await store.destroy();
    });
    this.#server = undefined;
    process.crash();
  }

  /** Ids of the VMM processes of this host. */
  async machines(): Promise<readonly number[]> {
    return (await processesIn(this.directory)).map(Number);
  }

  /** Resolves when the kills that were begun are done. */
  async killed(): Promise<void> {
    await this.#killing;
  }

  async killMachines(): Promise<void> {
    this.#killing = this.#killMachines();
    await this.#killing;
  }

  async #killMachines(): Promise<void> {
    const killed = await this.machines();
    for (const pid of killed) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended by itself meanwhile.
      }
    }
    await until('the machines are gone', async () => {
      const left = await this.machines();
      return !left.some((pid) => killed.includes(pid));
    });
  }

  async run(input: Partial<RunInput> = {}): Promise<Microvm> {
    return await this.call(({ microvms }) => microvms.run({ imageIdentifier: imageArn, ...input }));
  }

  /** Calls the server from outside; rejects when it crashes before it answers. */
  async call<Result>(work: (server: Server) => Promise<Result>): Promise<Result> {
    const { server } = this;
    return await this.#within(server.process, () => work(server));
  }

  async #within<Result>(process: ServerProcess, work: () => Promise<Result>): Promise<Result> {
    const crashed = (): never => {
      throw new CrashedError('the server crashed');
    };
    if (process.dead) crashed();
    const gone = process.crashed.then(crashed);
    gone.catch(() => undefined);
    return await this.#ticking(() => Promise.race([process.run(work), gone]));
  }

  /** Time goes on while a test waits: what failed is tried again after a while. */
  async #ticking<Result>(work: () => Promise<Result>): Promise<Result> {
    const ticker = setInterval(() => this.clock.advance(this.#options.tickMs ?? defaultTickMs), 1);
    try {
      return await work();
    } finally {
      clearInterval(ticker);
    }
  }

  async get(microvmId: string): Promise<Microvm> {
    return await this.call(({ microvms }) => microvms.get(microvmId));
  }

  /** Waits until the VM is in one of the states. */
  async reaches(microvmId: string, ...states: readonly Microvm['state'][]): Promise<Microvm> {
    const deadline = performance.now() + answerTimeoutMs;
    for (;;) {
      const vm = await this.get(microvmId);
      if (states.includes(vm.state)) return vm;
      assert.notEqual(vm.state, 'TERMINATED', vm.stateReason ?? '');
      assert.ok(performance.now() < deadline, `${vm.state} for ever, waiting for ${states.join(' or ')}`);
      await this.call(() => new Promise((resolve) => setTimeout(resolve, 2)));
    }
  }

  /** One request to the application; wakes the VM. */
  async request(microvmId: string, target = '/'): Promise<Answer> {
    return await this.call(async ({ microvms }) => {
      const stream = await microvms.connect(microvmId, appPort, AbortSignal.timeout(answerTimeoutMs));
      stream.end(`GET ${target} HTTP/1.1\r\nhost: app\r\n\r\n`);
      const text = await readAll(stream);
      const body = text.slice(text.indexOf('\r\n\r\n') + 4);
      return (body === '' ? {} : JSON.parse(body)) as Answer;
    });
  }

  /** Waits until so many launches and wakes wait for room. */
  async waiting(count: number): Promise<void> {
    await until(`${count} wait for room`, async () =>
      (await this.server.metrics.text()).includes(`dormouse_capacity_waiting ${count}\n`),
    );
  }

  async imageSettles(from: string): Promise<string> {
    const deadline = performance.now() + answerTimeoutMs;
    for (;;) {
      const { state } = await this.call(({ images }) => images.get(imageArn));
      if (state !== from) return state;
      assert.ok(performance.now() < deadline, `the image is ${from} for ever`);
      await this.call(() => new Promise((resolve) => setTimeout(resolve, 2)));
    }
  }

  /** Directories and files that are there for microVMs and builds. */
  async files(): Promise<readonly string[]> {
    const rooms = ['microvms', 'images/builds', 'images/versions/web'];
    const found = await Promise.all(
      rooms.map((room) =>
        readdir(path.join(this.directory, room)).then(
          (names) => names.map((name) => `${room}/${name}`),
          () => [],
        ),
      ),
    );
    return found.flat();
  }

  async #compose(process: ServerProcess): Promise<Server> {
    const at = (name: string): string => path.join(this.directory, name);
    const logger = pino({ level: globalThis.process.env.DORMOUSE_TEST_LOG ?? 'silent' });
    await ensureDirectory(at('microvms'));
    const metrics = new Metrics();
    const { mostVcpus, database } = this.#options;
    const store = await openDatabase(database ?? at('dormouse.sqlite'));
    const vmm = await createQemuVmm({ ...this.machine.options, confinement: this.#confinement });
    const { clock } = this;
    const paths = new ImagePaths(at('images'));
    const images = new Images({
      store,
      paths,
      vmm,
      builder: this.#builder(process, vmm, paths),
      profile: 'relaxed',
      realm,
      clock,
      logger,
      connectors,
      hasLiveMicrovms: (arn, version) => microvms.hasLive(arn, version),
      onWithdrawn: (arn, version) => microvms.withdraw(arn, version),
    });
    const microvms = createMicrovmService({
      store,
      vmm,
      images,
      logs: new FileLogStore(at('logs')),
      // The fake machine has no way out.
      network: { attach: () => undefined, forget: () => undefined, refusalsOf: () => [] },
      connectors,
      clock,
      logger,
      directory: at('microvms'),
      profile: 'relaxed',
      region: realm.region,
      wakeCacheBytes: this.#options.wakeCacheBytes ?? 0,
      warmPool: this.#options.warmPool ?? { kind: 'off' },
      metrics,
      // Room enough: a small host would refuse what a test is not about.
      capacity: {
        memoryBudgetBytes: 2 ** 50,
        // Half of one more, lest rounding takes one away.
        cpuOvercommit: mostVcpus === undefined ? 0 : (mostVcpus + 0.5) / os.availableParallelism(),
        diskReserveBytes: 0,
        evictIdle: false,
      },
    });
    await images.recover();
    await microvms.recover();
    return { process, images, microvms, metrics, store };
  }

  /** The build from the root disk on; what comes before it is the container engine's. */
  #builder(process: ServerProcess, vmm: Vmm, paths: InstanceType<typeof ImagePaths>): ImageBuilder {
    const { rootDisk } = this.machine;
    return {
      prepare: async () => undefined,
      tidy: async () => undefined,
      forget: async () => undefined,
      build: async (record, signal) => {
        const version = paths.version(record.version);
        const build = paths.build(record.build.buildId);
        try {
          await makeVersionDirectory(version);
          const { manifest } = await buildSnapshot(vmm, {
            app: application,
            readiness: { exposed: [], worker: false, limitMs: 60_000, healthcheck: undefined },
            shape: { memoryMib, vcpus: 1 },
            rootDisk,
            hooks: record.version.configuration.hooks,
            now: () => this.clock.now(),
            connect: () => undefined,
            vm: build.vm,
            snapshot: version.snapshot,
            log: {
              note: () => undefined,
              lose: () => undefined,
              write: () => undefined,
              end: async () => undefined,
            },
            signal,
          });
          return { type: 'successful', sizes: { memorySnapshotSizeInBytes: manifest.memoryBytes } };
        } catch (error) {
          // What a dead server had begun to build is left to the next one.
          if (process.dead) await new Promise(() => undefined);
          signal.throwIfAborted();
          await rm(version.directory, { recursive: true, force: true });
          return { type: 'failed', failure: platformError(error), sizes: null };
        } finally {
          if (!process.dead) await rm(build.directory, { recursive: true, force: true });
        }
      },
    };
  }
}

async function readAll(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
