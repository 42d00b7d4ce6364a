import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import type { AppSpec, GuestAgent } from '../guest/guest-agent.ts';
import { defaultHookTimeouts, type Hooks } from '../model/image.ts';
import type { MachineShape, SnapshotManifest, Vmm } from '../vmm/vmm.ts';
import { applicationExited, BuildFailure } from './build-failure.ts';
import { awaitBuildHook, failOnExit } from './build-hooks.ts';
import type { BuildLog } from './build-log.ts';
import { bootGuest, type GuestMachine, greet } from './guest-boot.ts';
import { awaitReady, type Readiness, type ReadinessRules } from './readiness.ts';

export interface SnapshotBuild {
  readonly app: AppSpec;
  readonly shape: MachineShape;
  readonly rootDisk: string;
  readonly hooks: Hooks | null;
  /** When the application is ready that has no ready hook. */
  readonly readiness: ReadinessRules;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Gives a guest whose session has begun its network. */
  readonly connect: (agent: GuestAgent) => void;
  /** Directories of the VM and of its snapshot; the latter must not exist. */
  readonly vm: string;
  readonly snapshot: string;
  readonly log: BuildLog;
  readonly signal: AbortSignal;
}

/**
 * Boots a VM from the root disk, starts the application, waits until it is ready and freezes the VM into a
 * snapshot (spec section 3.2, steps 4 to 6). No VM is left, whatever happens.
 * @returns also how it became ready; undefined by its hook
 * @throws {BuildFailure}
 */
export async function buildSnapshot(
  vmm: Vmm,
  build: SnapshotBuild,
): Promise<{ readonly manifest: SnapshotManifest; readonly readiness: Readiness | undefined }> {
  const { signal } = build;
  const machine = await bootGuest(
    vmm,
    { directory: build.vm, rootDisk: build.rootDisk, shape: build.shape },
    signal,
  );
  try {
    const { agent, instance } = machine;
    build.connect(agent);
    listen(agent, build.log);
    await agent.assumeIdentity({ wallClockMs: build.now, entropy: randomBytes(64) });
    await startApp(agent, build);
    const readiness = await becomeReady(machine, build);
    await agent.sync({ dropCaches: true });
    const status = await agent.appStatus();
    if (status.state === 'exited') throw applicationExited(status.code);
    await agent.quiesce();
    return { manifest: await instance.snapshot(build.snapshot), readiness };
  } finally {
    machine.agent.close();
    await machine.instance.kill();
  }
}

/**
 * Waits until the application is ready. One that ends with 0 without having to answer a hook has done its work: its
 * namespaces stay, for the commands that its microVMs will be given.
 */
async function becomeReady(machine: GuestMachine, build: SnapshotBuild): Promise<Readiness | undefined> {
  const { agent } = machine;
  const hooks = build.hooks?.microvmImageHooks;
  const port = build.hooks?.port;
  if (hooks?.ready === 'ENABLED' && port !== undefined) {
    const timeoutSeconds = hooks.readyTimeoutInSeconds ?? defaultHookTimeouts.ready;
    await orExit(machine, build.signal, (until) =>
      awaitBuildHook(agent, { hook: 'ready', port, timeoutSeconds }, until),
    );
    return undefined;
  }
  try {
    return await orExit(machine, build.signal, (until) => awaitReady(agent, build.readiness, until));
  } catch (error) {
    if (!(error instanceof BuildFailure && error.code === 'APPLICATION_EXITED')) throw error;
    const { code } = await agent.appExit();
    if (code !== 0 || build.hooks !== null) throw error;
    await agent.startApp({ ...build.app, argv: [] });
    return { type: 'ended' };
  }
}

/**
 * Starts a throw-away VM from the snapshot and asks its application whether all is well (spec section 3.2,
 * step 7). No VM is left, whatever happens.
 * @throws {BuildFailure}
 */
export async function validateSnapshot(
  vmm: Vmm,
  build: Omit<SnapshotBuild, 'app' | 'shape' | 'rootDisk' | 'readiness'>,
): Promise<void> {
  const hooks = build.hooks?.microvmImageHooks;
  const port = build.hooks?.port;
  if (hooks?.validate !== 'ENABLED' || port === undefined) return;
  await rm(build.vm, { recursive: true, force: true });
  await mkdir(build.vm, { mode: 0o700 });
  const instance = await vmm.launch({ directory: build.vm, snapshot: build.snapshot });
  try {
    const agent = await greet(instance, build.signal);
    try {
      build.connect(agent);
      listen(agent, build.log);
      await agent.assumeIdentity({ wallClockMs: build.now, entropy: randomBytes(64) });
      const timeoutSeconds = hooks.validateTimeoutInSeconds ?? defaultHookTimeouts.validate;
      await orExit({ agent, instance }, build.signal, (until) =>
        awaitBuildHook(agent, { hook: 'validate', port, timeoutSeconds }, until),
      );
    } finally {
      agent.close();
    }
  } finally {
    await instance.kill();
  }
}

/** Sends the application's output to the build's log. */
function listen(agent: GuestAgent, log: BuildLog): void {
  agent.onLog(
    (source, chunk) => log.write(source, chunk),
    (bytes) => log.lose(bytes),
  );
}

/** Waits for `work`, unless the application or the VMM ends first. */
async function orExit<Result>(
  machine: GuestMachine,
  signal: AbortSignal,
  work: (until: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const over = new AbortController();
  const vmmExit = machine.instance.exited.then(({ reason }) => {
    throw new Error(`the VMM ended: ${reason}`);
  });
  const appExit = failOnExit(machine.agent);
  try {
    return await Promise.race([work(AbortSignal.any([signal, over.signal])), appExit, vmmExit]);
  } finally {
    over.abort();
    appExit.catch(() => undefined);
    vmmExit.catch(() => undefined);
  }
}

/** An application that cannot be run ends as it does in a shell: 127 when there is no such program, else 126. */
async function startApp(agent: GuestAgent, { app, log }: SnapshotBuild): Promise<void> {
  try {
    await agent.startApp(app);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) throw error;
    log.note(`cannot run ${app.argv[0]} as user ${app.uid} in ${app.workdir}: ${error.code}`);
    throw applicationExited(error.code === 'ENOENT' ? 127 : 126);
  }
}
