import { rm } from 'node:fs/promises';
import { ensureDirectory } from '../blobs/durable.ts';
import type { GuestAgent } from '../guest/guest-agent.ts';
import type { Hooks } from '../model/image.ts';
import { type Microvm, terminationReasons } from '../model/microvm.ts';
import type { MicrovmBeginning } from '../store/microvms.ts';
import { LogPump } from '../telemetry/log-pump.ts';
import { defaultLogGroup, microvmLogStream } from '../telemetry/log-store.ts';
import { step } from '../telemetry/trace.ts';
import type { VmmInstance } from '../vmm/vmm.ts';
import { despiteHost } from './despite-host.ts';
import type { Engine } from './engine.ts';
import { openSession, renewIdentity } from './guest-session.ts';
import { runLifecycleHook } from './lifecycle-hooks.ts';
import { discardSpare } from './pool/spare.ts';

/** A running VM and the session with its guest. */
export interface LiveGuest {
  readonly instance: VmmInstance;
  readonly agent: GuestAgent;
  readonly logs: LogPump | undefined;
}

/**
 * Launches a new VM, from its version's snapshot or from what a fork left for it, and lets the application know.
 * Whatever goes wrong, no VMM process is left running.
 * @throws {HookFailedError} the `/run` hook failed
 */
export async function launchGuest(engine: Engine, vm: Microvm, signal: AbortSignal): Promise<LiveGuest> {
  const { forkedFrom } = await beginningOf(engine, vm, signal);
  const live = (await launchSpare(engine, vm)) ?? (await launchAfresh(engine, vm, forkedFrom, signal));
  return await orKill(live.instance, async () => {
    await callRunHook(engine, vm, live, signal);
    return live;
  });
}

/**
 * A VM that was kept ready: it has its name already and gets the right time and randomness. Undefined when there is
 * none, or it does not start.
 */
async function launchSpare(engine: Engine, vm: Microvm): Promise<LiveGuest | undefined> {
  const spare = engine.warmPool.collect(vm.microvmId);
  if (spare === undefined) return undefined;
  try {
    await step('virtual CPUs started', () => spare.instance.unpause());
    await step('identity', () => renewIdentity(spare.agent, engine.clock));
    return asLive(engine, vm, spare.instance, spare.agent);
  } catch (error) {
    engine.logger.warn({ microvmId: vm.microvmId, err: error }, 'a VM kept ready did not start');
    await discardSpare(engine, spare);
    return undefined;
  }
}

async function launchAfresh(
  engine: Engine,
  vm: Microvm,
  forkedFrom: string | null,
  signal: AbortSignal,
): Promise<LiveGuest> {
  return await engine.starts.run(async () => {
    const instance =
      forkedFrom === null ? await launchFromSnapshot(engine, vm, signal) : await resumeFromDisk(engine, vm);
    return await orKill(instance, async () => {
      const live = await attach(engine, vm, instance, signal);
      await step('identity', () => renewIdentity(live.agent, engine.clock, vm.microvmId));
      return live;
    });
  }, signal);
}

async function launchFromSnapshot(engine: Engine, vm: Microvm, signal: AbortSignal): Promise<VmmInstance> {
  const directory = engine.directoryOf(vm.microvmId);
  await step('directory', async () => {
    await rm(directory, { recursive: true, force: true });
    await ensureDirectory(directory);
  });
  signal.throwIfAborted();
  return await engine.images.withSnapshot(vm, (snapshot) => engine.vmm.launch({ directory, snapshot }));
}

/** What a new VM is owed before anyone may reach it; repeated when a crash interrupted it. */
async function greetLaunched(
  engine: Engine,
  vm: Microvm,
  live: LiveGuest,
  signal: AbortSignal,
): Promise<void> {
  await step('identity', () => renewIdentity(live.agent, engine.clock, vm.microvmId));
  await callRunHook(engine, vm, live, signal);
}

async function callRunHook(engine: Engine, vm: Microvm, live: LiveGuest, signal: AbortSignal): Promise<void> {
  const { runHookPayload } = await beginningOf(engine, vm, signal);
  const hooks = await hooksOf(engine, vm, signal);
  await runLifecycleHook(live.agent, { hook: 'run', hooks, body: runHookBody(vm, runHookPayload), signal });
}

/**
 * Suspends to disk: the hook first, then the memory and disk that differ from the snapshot.
 * @throws {HookFailedError} the `/suspend` hook failed; the VM still runs
 * @throws the difference could not be stored; the VM is paused and intact, its session over
 */
export async function suspendGuest(
  engine: Engine,
  vm: Microvm,
  live: LiveGuest,
  signal: AbortSignal,
): Promise<void> {
  await runLifecycleHook(live.agent, { hook: 'suspend', hooks: await hooksOf(engine, vm, signal), signal });
  signal.throwIfAborted();
  await step('guest sync', () => live.agent.sync({ dropCaches: false }));
  await step('agent quiesce', () => live.agent.quiesce());
  await live.logs?.end();
  // The VM is asleep as soon as it is durable; whether its process goes or stays is nobody's business then.
  await live.instance.suspend({ keepProcess: true });
}

/**
 * Continues a suspended VM from its snapshot and difference.
 * @throws {HookFailedError} the `/resume` hook failed; the VM is gone
 */
export async function resumeGuest(engine: Engine, vm: Microvm, signal: AbortSignal): Promise<LiveGuest> {
  // Read beforehand: once the virtual CPUs run, only the process holds the VM.
  const hooks = await hooksOf(engine, vm, signal);
  const kept = await wakeKept(engine, vm);
  const live =
    kept === undefined
      ? await wakeFromDisk(engine, vm, signal)
      : await attachOrKill(engine, vm, kept, signal);
  return await orKill(live.instance, async () => {
    await greetResumed(engine, live, hooks, signal);
    return live;
  });
}

async function wakeFromDisk(engine: Engine, vm: Microvm, signal: AbortSignal): Promise<LiveGuest> {
  return await engine.starts.run(
    async () => await attachOrKill(engine, vm, await resumeFromDisk(engine, vm), signal),
    signal,
  );
}

async function attachOrKill(
  engine: Engine,
  vm: Microvm,
  instance: VmmInstance,
  signal: AbortSignal,
): Promise<LiveGuest> {
  return await orKill(instance, () => attach(engine, vm, instance, signal));
}

/** The VM's own process, paused since the suspend, if the cache still has it and it starts. */
async function wakeKept(engine: Engine, vm: Microvm): Promise<VmmInstance | undefined> {
  const kept = engine.wakeCache.takeToWake(vm.microvmId);
  if (kept === undefined) return undefined;
  try {
    await kept.unpause();
    return kept;
  } catch (error) {
    engine.logger.warn({ microvmId: vm.microvmId, err: error }, 'a kept process did not wake');
    await kept.kill();
    return undefined;
  }
}

async function resumeFromDisk(engine: Engine, vm: Microvm): Promise<VmmInstance> {
  const directory = engine.directoryOf(vm.microvmId);
  return await engine.images.withSnapshot(vm, (snapshot) => engine.vmm.resume({ directory, snapshot }));
}

/** What a guest is owed after a resume; repeated when a crash interrupted it, so hooks must be idempotent. */
async function greetResumed(
  engine: Engine,
  live: LiveGuest,
  hooks: Hooks | null,
  signal: AbortSignal,
): Promise<void> {
  await step('identity', () => renewIdentity(live.agent, engine.clock));
  await runLifecycleHook(live.agent, { hook: 'resume', hooks, signal });
}

/** Takes over a VM left by an earlier server, whatever it was at, and gives the guest what that one owed it. */
export async function takeOver(
  engine: Engine,
  vm: Microvm,
  instance: VmmInstance,
  signal: AbortSignal,
): Promise<LiveGuest> {
  const hooks = await hooksOf(engine, vm, signal);
  await instance.unpause();
  const live = await attach(engine, vm, instance, signal);
  try {
    if (vm.state === 'PENDING') await greetLaunched(engine, vm, live, signal);
    else if (vm.state === 'SUSPENDED') await greetResumed(engine, live, hooks, signal);
    // Frozen by an earlier server for a moment that did not come.
    else await live.agent.thaw();
    return live;
  } catch (error) {
    live.agent.close();
    throw error;
  }
}

/**
 * Continues a VM that could not be put to sleep, and lets the application know: it may have heard that it would be.
 * @throws {HookFailedError} the `/resume` hook failed
 */
export async function goOnAwake(
  engine: Engine,
  vm: Microvm,
  instance: VmmInstance,
  signal: AbortSignal,
): Promise<LiveGuest> {
  const hooks = await hooksOf(engine, vm, signal);
  await despiteHost(engine, vm.microvmId, () => instance.unpause(), signal);
  const live = await attach(engine, vm, instance, signal);
  await greetResumed(engine, live, hooks, signal);
  return live;
}

/** Opens another session with a VM that is awake. */
export async function reattach(
  engine: Engine,
  vm: Microvm,
  instance: VmmInstance,
  signal: AbortSignal,
): Promise<LiveGuest> {
  const live = await attach(engine, vm, instance, signal);
  await live.agent.thaw();
  return live;
}

/**
 * Stores what a VM is in each of `directories`; see {@link VmmInstance.fork}. The application of one that runs stands
 * still meanwhile, so that nothing of it runs in two VMs before they differ.
 */
export async function captureGuest(
  engine: Engine,
  vm: Microvm,
  live: LiveGuest | undefined,
  directories: readonly string[],
): Promise<void> {
  if (live === undefined) {
    const own = engine.directoryOf(vm.microvmId);
    for (const directory of directories) await engine.vmm.copySuspended(own, directory);
    return;
  }
  await live.agent.freeze();
  try {
    await live.instance.fork(directories);
  } finally {
    // A session that broke meanwhile is followed by another, which thaws.
    await live.agent.thaw().catch(() => undefined);
  }
}

/** Opens the session with a running VM's agent and sends the application's output to its log. */
export async function attach(
  engine: Engine,
  vm: Microvm,
  instance: VmmInstance,
  signal?: AbortSignal,
): Promise<LiveGuest> {
  const open = () => openSession(instance, signal);
  const agent = await step('agent session', () => despiteHost(engine, vm.microvmId, open, signal));
  return asLive(engine, vm, instance, agent);
}

/** Makes a guest's network and output those of its VM. */
function asLive(engine: Engine, vm: Microvm, instance: VmmInstance, agent: GuestAgent): LiveGuest {
  engine.network.attach(agent, vm.egressNetworkConnectors, vm);
  const logs = logPumpFor(engine, vm);
  if (logs !== undefined) {
    agent.onLog(
      (source, chunk) => logs.write(source, chunk),
      (bytes) => logs.lose(bytes),
    );
  }
  return { instance, agent, logs };
}

/** Ends that come from outside; an application that is broken or gone is not told of its end. */
const announced: ReadonlySet<string> = new Set([terminationReasons.requested, terminationReasons.lifetime]);

/** Tells the application that it ends; what it answers changes nothing. */
export async function greetTerminating(
  engine: Engine,
  vm: Microvm,
  live: LiveGuest,
  reason: string,
): Promise<void> {
  if (!announced.has(reason)) return;
  try {
    await runLifecycleHook(live.agent, { hook: 'terminate', hooks: await hooksOf(engine, vm) });
  } catch (error) {
    engine.logger.info({ microvmId: vm.microvmId, error }, 'the terminate hook failed');
  }
}

/**
 * Gives up what the VM is for what it was when it was stored in `checkpoint`; it is asleep then. Once that is decided
 * there is no other VM to go on with, so it is finished however often that has to be tried.
 */
export async function rollBackGuest(
  engine: Engine,
  vm: Microvm,
  live: LiveGuest | undefined,
  checkpoint: string,
  signal: AbortSignal,
): Promise<void> {
  const directory = engine.directoryOf(vm.microvmId);
  live?.agent.close();
  await live?.logs?.end();
  await engine.wakeCache.take(vm.microvmId)?.kill();
  await engine.vmm.rollBack(directory, checkpoint);
  await despiteHost(engine, vm.microvmId, () => engine.vmm.finishRollBack(directory), signal);
}

/** Ends the VM's process, if any, and removes everything it had on this host. */
export async function discardGuest(engine: Engine, vm: Microvm, live: LiveGuest | undefined): Promise<void> {
  await despiteHost(engine, vm.microvmId, () => discard(engine, vm, live));
}

/** Whether a VM's directory holds all that a resume needs. */
export async function isAsleep(engine: Engine, vm: Microvm): Promise<boolean> {
  const directory = engine.directoryOf(vm.microvmId);
  return await despiteHost(engine, vm.microvmId, () => engine.vmm.isSuspended(directory));
}

async function discard(engine: Engine, vm: Microvm, live: LiveGuest | undefined): Promise<void> {
  const directory = engine.directoryOf(vm.microvmId);
  const instance =
    live?.instance ??
    engine.wakeCache.take(vm.microvmId) ??
    engine.warmPool.collect(vm.microvmId)?.instance ??
    (await engine.vmm.adopt(directory));
  live?.agent.close();
  await instance?.kill();
  await live?.logs?.end();
  // A checkpoint that was being written may be given its name just now, out of the directory that is emptied.
  await rm(directory, { recursive: true, force: true, maxRetries: 5 });
}

async function orKill(instance: VmmInstance, work: () => Promise<LiveGuest>): Promise<LiveGuest> {
  try {
    return await work();
  } catch (error) {
    await instance.kill();
    throw error;
  }
}

/** Of the version that a microVM runs; waits for a store that cannot be read for a while. */
async function hooksOf(engine: Engine, vm: Microvm, signal?: AbortSignal): Promise<Hooks | null> {
  const read = () => engine.images.getVersion(vm.imageArn, vm.imageVersion);
  return (await despiteHost(engine, vm.microvmId, read, signal)).configuration.hooks;
}

/** Waits as {@link hooksOf} does. */
async function beginningOf(engine: Engine, vm: Microvm, signal: AbortSignal): Promise<MicrovmBeginning> {
  return await despiteHost(engine, vm.microvmId, () => engine.repository.beginning(vm.microvmId), signal);
}

/** `runHookPayload` is left out when none was given: its form is unrecorded (spec section 4.2). */
function runHookBody(vm: Microvm, payload: string | null): string {
  return JSON.stringify({
    microvmId: vm.microvmId,
    ...(payload === null ? {} : { runHookPayload: payload }),
  });
}

function logPumpFor(engine: Engine, vm: Microvm): LogPump | undefined {
  const chosen = vm.logging ?? { cloudWatch: {} };
  if ('disabled' in chosen) return undefined;
  const imageName = vm.imageArn.slice(vm.imageArn.lastIndexOf(':') + 1);
  const destination = {
    group: chosen.cloudWatch.logGroup ?? defaultLogGroup(imageName),
    stream: chosen.cloudWatch.logStream ?? microvmLogStream(vm.startedAt, vm.imageVersion, vm.microvmId),
  };
  return new LogPump({
    logs: engine.logs,
    destination,
    clock: engine.clock,
    onError: (error) =>
      engine.logger.error({ microvmId: vm.microvmId, error }, 'guest output was not stored'),
    onDropped: (bytes) => engine.metrics.outputDropped(bytes),
  });
}
