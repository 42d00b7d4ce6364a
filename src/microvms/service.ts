import { rm } from 'node:fs/promises';
import type { Duplex } from 'node:stream';
import { directorySize } from '../blobs/directory-size.ts';
import { ensureDirectory } from '../blobs/durable.ts';
import {
  insufficientCapacity,
  malformedArn,
  memoryQuotaExceeded,
  microvmNotFound,
  runHookRequired,
} from '../errors.ts';
import type { ExecSession, ExecSpec } from '../guest/guest-agent.ts';
import type { BuildRoom } from '../images/build-room.ts';
import type { ActivitySettings } from '../model/activity.ts';
import type { DatagramChannel, DatagramListener } from '../model/datagrams.ts';
import { nextDue } from '../model/idle.ts';
import type { ImageVersion } from '../model/image.ts';
import { limits, type Profile } from '../model/limits.ts';
import { isLive, type Microvm, terminationReasons } from '../model/microvm.ts';
import type { Page, PageRequest } from '../model/page.ts';
import {
  includesConnector,
  type KnownConnectors,
  resolveEgress,
  resolveIngress,
} from '../network/connectors/resolve-connectors.ts';
import { claimOf, findClaim, type TokenClaim } from '../store/client-tokens.ts';
import type { MicrovmRepository } from '../store/microvms.ts';
import { step, type Trace } from '../telemetry/trace.ts';
import { CapacityError } from './admission.ts';
import { createBuildRoom } from './build-room.ts';
import { type CheckpointService, createCheckpointService } from './checkpoint-service.ts';
import { MicrovmController } from './controller.ts';
import { createEngine, type EngineOptions } from './create-engine.ts';
import { Deadlines } from './deadlines.ts';
import type { Engine } from './engine.ts';
import { suspendLongestIdle } from './eviction.ts';
import { resumeRefused } from './failure-reason.ts';
import type { Leases } from './leases.ts';
import {
  type ForkInput,
  type MicrovmDetails,
  type MicrovmFilter,
  type MicrovmService,
  MicrovmUnreachableError,
  type RunInput,
} from './microvm-service.ts';
import { newMicrovm } from './new-microvm.ts';
import { removeOrphans } from './orphans.ts';
import { recoverMicrovms } from './recover.ts';
import { Roster } from './roster.ts';
import { type MicrovmUsage, usagesOf } from './usage-history.ts';

/** Until something that was due and failed is tried again. */
const deadlineRetryMs = 5_000;

export interface MicrovmServiceOptions extends EngineOptions {
  readonly connectors: KnownConnectors;
  readonly profile: Profile;
  readonly region: string;
  /** Told when a VM has ended. */
  readonly onTerminated?: (microvmId: string) => void;
}

export function createMicrovmService(options: MicrovmServiceOptions): MicrovmService {
  return new Microvms(options);
}

class Microvms implements MicrovmService {
  readonly #options: MicrovmServiceOptions;
  readonly #repository: MicrovmRepository;
  readonly #engine: Engine;
  readonly #deadlines: Deadlines;
  readonly #leases: Leases;
  readonly #roster: Roster<MicrovmController>;
  readonly checkpoints: CheckpointService;
  readonly buildRoom: BuildRoom;
  readonly #closing = new AbortController();

  constructor(options: MicrovmServiceOptions) {
    this.#options = options;
    this.#deadlines = new Deadlines(options.clock, (id) => this.#onDue(id));
    this.#roster = new Roster({
      make: (vm) => new MicrovmController(this.#engine, vm),
      recovering: (microvmId, recovery) => this.#inBackground(microvmId, recovery),
    });
    this.#engine = createEngine(options, {
      closing: this.#closing.signal,
      changed: (vm, lastActivityAt) => this.#onChanged(vm, lastActivityAt),
      evict: () => suspendLongestIdle(this.#roster.controllers, this.#leases, options.clock.now()),
    });
    this.#repository = this.#engine.repository;
    this.#leases = this.#engine.leases;
    this.buildRoom = createBuildRoom(this.#engine.admission, options.clock, options.metrics);
    this.checkpoints = createCheckpointService({
      ...options,
      controllerOf: (microvmId) => this.#controller(microvmId),
      resume: (microvmId) => this.resume(microvmId),
      directoryOf: this.#engine.directoryOf,
      metrics: this.#engine.metrics,
    });
  }

  async run(input: RunInput): Promise<Microvm> {
    const trace = this.#engine.transitions.begin();
    return await trace.run(() => this.#run(input, trace));
  }

  async #run(input: RunInput, trace: Trace): Promise<Microvm> {
    const claim = claimOf('RunMicrovm', input);
    const earlier = await this.#claimed(claim);
    if (earlier !== undefined) return earlier;
    const { vm, payload } = await step('checks', () => this.#prepare(input));
    const beginning = { runHookPayload: payload, forkedFrom: null };
    try {
      await step('room', () => this.#admit([vm]));
      await step('PENDING stored', () => this.#repository.insert([vm], beginning, claim));
    } catch (error) {
      // Two requests with one client token race for its row; the loser answers with the winner's VM.
      this.#engine.warmPool.giveBack(vm.microvmId);
      this.#engine.admission.release(vm.microvmId);
      const winner = await this.#claimed(claim);
      if (winner !== undefined) return winner;
      throw error;
    }
    this.#launch(vm, trace);
    return vm;
  }

  async fork(microvmId: string, input: ForkInput): Promise<readonly Microvm[]> {
    const controller = await this.#controller(microvmId);
    const parent = controller.vm;
    const version = await this.#options.images.getVersion(parent.imageArn, parent.imageVersion);
    if (input.runHookPayload !== undefined && !runHookEnabled(version)) throw runHookRequired();
    await this.#checkQuota(parent.memoryMib * input.count);
    await this.resume(microvmId);
    const children = Array.from({ length: input.count }, () => newMicrovm(parent, this.#options.clock.now()));
    const directories = children.map((child) => this.#engine.directoryOf(child.microvmId));
    try {
      await this.#admit(children);
      for (const directory of directories) await ensureDirectory(directory);
      await this.#engine.metrics.measure('fork', () => controller.capture(directories));
      for (const { microvmId: child } of children) await this.#engine.activity.inherit(child, microvmId);
      const beginning = { runHookPayload: input.runHookPayload ?? null, forkedFrom: microvmId };
      await this.#repository.insert(children, beginning, undefined);
    } catch (error) {
      for (const directory of directories) await rm(directory, { recursive: true, force: true });
      for (const child of children) this.#engine.admission.release(child.microvmId);
      throw error;
    }
    for (const child of children) this.#launch(child);
    return children;
  }

  async get(microvmId: string): Promise<Microvm> {
    const known = this.#roster.vmOf(microvmId) ?? (await this.#repository.get(microvmId));
    if (known === undefined) throw microvmNotFound(microvmId);
    return known;
  }

  list(page: PageRequest, filter: MicrovmFilter): Promise<Page<Microvm>> {
    return this.#repository.list(page, filter);
  }

  async suspend(microvmId: string): Promise<void> {
    await (await this.#controller(microvmId)).suspend();
  }

  async resume(microvmId: string): Promise<void> {
    try {
      await (await this.#controller(microvmId)).resume();
    } catch (error) {
      if (!(error instanceof MicrovmUnreachableError)) throw error;
      throw resumeRefused(microvmId, error);
    }
  }

  async terminate(microvmId: string): Promise<void> {
    await (await this.#controller(microvmId)).terminate(terminationReasons.requested);
  }

  findByEndpoint(endpointId: string): Microvm | Promise<Microvm | undefined> {
    return this.#roster.vmAt(endpointId) ?? this.#repository.getByEndpoint(endpointId);
  }

  async connect(microvmId: string, port: number, signal: AbortSignal): Promise<Duplex> {
    const controller = await this.#withIngress(microvmId, 'HTTP_INGRESS');
    return await controller.reach((agent, touch) => agent.connect(port, signal, touch), signal);
  }

  async associate(
    microvmId: string,
    port: number,
    onDatagram: DatagramListener,
    signal: AbortSignal,
  ): Promise<DatagramChannel> {
    const controller = await this.#withIngress(microvmId, 'HTTP_INGRESS');
    return await controller.reach((agent, touch) => agent.associate(port, onDatagram, signal, touch), signal);
  }

  async exec(microvmId: string, spec: ExecSpec, signal: AbortSignal): Promise<ExecSession> {
    const controller = await this.#withIngress(microvmId, 'SHELL_INGRESS');
    const session = await controller.reach((agent, touch) => agent.exec(spec, touch), signal);
    this.#engine.activity.watchSession(microvmId, session.exit, () => controller.noteActivity());
    return session;
  }

  async setLease(microvmId: string, seconds: number): Promise<number> {
    const endsAt = this.#options.clock.now() + seconds * 1000;
    await (await this.#controller(microvmId)).record.setLease(endsAt);
    return endsAt;
  }

  async endLease(microvmId: string): Promise<void> {
    await (await this.#controller(microvmId)).record.endLease();
  }

  countRequest(microvmId: string, by: 1 | -1): void {
    this.#engine.activity.countRequest(microvmId, by);
  }

  async setActivity(microvmId: string, settings: ActivitySettings): Promise<void> {
    await (await this.#controller(microvmId)).record.setActivity(settings);
  }

  async inspect(microvmId: string): Promise<MicrovmDetails> {
    const vm = await this.get(microvmId);
    const controller = this.#roster.peek(microvmId);
    const instance = controller?.live?.instance;
    const usage = await instance?.usage();
    return {
      microvm: vm,
      vmmPid: instance?.pid ?? null,
      residentBytes: usage?.residentBytes ?? null,
      proportionalBytes: usage?.proportionalBytes ?? null,
      cpuSeconds: usage?.cpuSeconds ?? null,
      diskBytes: await directorySize(this.#engine.directoryOf(microvmId)),
      lastActivityAt: controller?.lastActivityAt ?? null,
      leaseEndsAt: this.#leases.endOf(microvmId) ?? null,
      activity: this.#engine.activity.settingsOf(microvmId),
      traces: this.#engine.transitions.of(microvmId),
    };
  }

  usages(): Promise<readonly MicrovmUsage[]> {
    return usagesOf(this.#roster.controllers);
  }

  async withdraw(imageArn: string, imageVersion?: string): Promise<void> {
    await this.#engine.warmPool.retire(imageArn, imageVersion);
  }

  hasLive(imageArn: string, imageVersion?: string): Promise<boolean> {
    return this.#repository.hasLive(imageArn, imageVersion);
  }

  async recover(): Promise<void> {
    const vms = await this.#repository.listLive();
    const ids = new Set(vms.map((vm) => vm.microvmId));
    await this.#leases.recover(ids);
    await this.#engine.activity.recover(ids);
    await removeOrphans(this.#options, ids);
    await recoverMicrovms(vms, {
      vmm: this.#options.vmm,
      roster: this.#roster,
      directoryOf: this.#engine.directoryOf,
      resting: (vm) => this.#onChanged(vm, this.#options.clock.now()),
      recovered: ({ vm }) => {
        if (vm.state === 'PENDING') this.#launch(vm);
      },
    });
    const versions = new Map(vms.map((vm) => [`${vm.imageArn} ${vm.imageVersion}`, vm]));
    for (const vm of versions.values()) this.#engine.warmPool.expect(vm);
    this.#engine.activity.start(async (microvmId) => this.#roster.peek(microvmId)?.noteActivity());
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the server is shutting down'));
    this.#deadlines.close();
    this.#engine.activity.close();
    await Promise.all(Array.from(this.#roster.controllers, (controller) => controller.release()));
    this.#engine.admission.close();
    this.#engine.pressure.close();
    await this.#engine.warmPool.close();
    await this.#engine.wakeCache.clear();
  }

  async #claimed(claim: TokenClaim | undefined): Promise<Microvm | undefined> {
    if (claim === undefined) return undefined;
    const microvmId = await findClaim(this.#options.store, claim);
    return microvmId === undefined ? undefined : await this.get(microvmId);
  }

  /** Checks in the order the service makes them (spec section 1.5). */
  async #prepare(input: RunInput): Promise<{ vm: Microvm; payload: string | null }> {
    const { profile, region, clock, images, connectors } = this.#options;
    if (profile === 'aws' && !input.imageIdentifier.startsWith('arn:')) throw malformedArn();
    const ingress = resolveIngress(input.ingressNetworkConnectors, region);
    const version = await images.runnableVersion(input.imageIdentifier, input.imageVersion);
    const inherited = version.configuration.egressNetworkConnectors;
    const egress = resolveEgress(input.egressNetworkConnectors, inherited, connectors);
    if (input.runHookPayload !== undefined && !runHookEnabled(version)) throw runHookRequired();
    const memoryMib = version.configuration.minimumMemoryInMiB;
    await this.#checkQuota(memoryMib);
    const settings = {
      imageArn: version.imageArn,
      imageVersion: version.imageVersion,
      executionRoleArn: input.executionRoleArn ?? null,
      idlePolicy: input.idlePolicy ?? null,
      logging: input.logging ?? null,
      maximumDurationInSeconds: input.maximumDurationInSeconds ?? limits[profile].defaultLifetimeSeconds,
      ingressNetworkConnectors: ingress,
      egressNetworkConnectors: egress,
      memoryMib,
    };
    const spare = this.#engine.warmPool.take(version);
    return { vm: newMicrovm(settings, clock.now(), spare), payload: input.runHookPayload ?? null };
  }

  /** @throws {ServiceError} the account would have more memory in use than it may */
  async #checkQuota(moreMib: number): Promise<void> {
    const used = await this.#repository.liveMemoryMib();
    if (used + moreMib > limits[this.#options.profile].accountMemoryMib) throw memoryQuotaExceeded();
  }

  /** @throws {ServiceError} the host has no room for so many more that are awake */
  async #admit(vms: readonly Microvm[]): Promise<void> {
    await this.#engine.admission.admit(vms).catch((error: unknown) => {
      throw error instanceof CapacityError ? insufficientCapacity(error.message) : error;
    });
  }

  /** @throws {MicrovmUnreachableError} */
  async #withIngress(
    microvmId: string,
    connector: 'HTTP_INGRESS' | 'SHELL_INGRESS',
  ): Promise<MicrovmController> {
    const vm = this.#roster.vmOf(microvmId) ?? (await this.#repository.get(microvmId));
    if (vm === undefined) throw new MicrovmUnreachableError('NOT_FOUND', 'there is no such microVM');
    if (!includesConnector(vm.ingressNetworkConnectors, connector, 'ALL_INGRESS')) {
      throw new MicrovmUnreachableError('BAD_GATEWAY', `the microVM has no ${connector} connector`);
    }
    return this.#roster.control(vm);
  }

  async #controller(microvmId: string): Promise<MicrovmController> {
    const existing = this.#roster.find(microvmId);
    if (existing !== undefined) return existing;
    const vm = await this.#repository.get(microvmId);
    if (vm === undefined) throw microvmNotFound(microvmId);
    return this.#roster.control(vm);
  }

  #launch(vm: Microvm, trace?: Trace): void {
    const launch = (): Promise<void> => this.#roster.control(vm).launch();
    this.#inBackground(vm.microvmId, this.#engine.transitions.record(vm.microvmId, 'launch', launch, trace));
  }

  #onChanged(vm: Microvm, lastActivityAt: number): void {
    this.#engine.admission.follow(vm);
    if (!isLive(vm.state)) {
      this.#roster.remove(vm);
      this.#deadlines.clear(vm.microvmId);
      this.#inBackground(vm.microvmId, this.#leases.end(vm.microvmId));
      this.#inBackground(vm.microvmId, this.#engine.activity.forget(vm.microvmId));
      this.#options.onTerminated?.(vm.microvmId);
      return;
    }
    const due = nextDue(vm, lastActivityAt, this.#leases.endOf(vm.microvmId));
    if (due === undefined) this.#deadlines.clear(vm.microvmId);
    else if (!this.#closing.signal.aborted) this.#deadlines.set(vm.microvmId, due.at);
  }

  #onDue(microvmId: string): void {
    const controller = this.#roster.find(microvmId);
    if (controller === undefined) return;
    const done = controller.onDeadline().catch((error: unknown) => {
      // What is due stays due.
      const { closing, clock } = this.#engine;
      if (!closing.aborted) this.#deadlines.set(microvmId, clock.now() + deadlineRetryMs);
      throw error;
    });
    this.#inBackground(microvmId, done);
  }

  #inBackground(microvmId: string, work: Promise<void>): void {
    work.catch((error: unknown) =>
      this.#options.logger.error({ microvmId, err: error }, 'a transition failed'),
    );
  }
}

function runHookEnabled(version: ImageVersion): boolean {
  return version.configuration.hooks?.microvmHooks?.run === 'ENABLED';
}
