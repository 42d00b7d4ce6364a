import type { GuestAgent } from '../guest/guest-agent.ts';
import { callHook, type HookOutcome, succeeded } from '../guest/hooks.ts';
import { defaultHookTimeouts, type Hooks } from '../model/image.ts';
import { type HookName, terminationReasons } from '../model/microvm.ts';
import { step } from '../telemetry/trace.ts';

type RuntimeHook = 'run' | 'resume' | 'suspend' | 'terminate';

const names: Readonly<Record<RuntimeHook, HookName>> = {
  run: 'Run',
  resume: 'Resume',
  suspend: 'Suspend',
  terminate: 'Terminate',
};

/** A lifecycle hook did not answer 200; `message` is the VM's `stateReason` (spec section 4.3a). */
export class HookFailedError extends Error {
  override readonly name = 'HookFailedError';
}

export interface RuntimeHookCall {
  readonly hook: RuntimeHook;
  readonly hooks: Hooks | null;
  readonly body?: string;
  readonly signal?: AbortSignal;
}

/**
 * Calls a runtime hook if the image enables it (spec section 4.2).
 * @throws {HookFailedError}
 */
export async function runLifecycleHook(
  agent: Pick<GuestAgent, 'connect'>,
  call: RuntimeHookCall,
): Promise<void> {
  const settings = call.hooks?.microvmHooks;
  const port = call.hooks?.port;
  if (settings?.[call.hook] !== 'ENABLED' || port === undefined) return;
  const seconds = settings[`${call.hook}TimeoutInSeconds`] ?? defaultHookTimeouts[call.hook];
  const outcome = await step(`/${call.hook} hook`, () =>
    callHook(agent, {
      hook: call.hook,
      port,
      timeoutMs: seconds * 1000,
      ...(call.body === undefined ? {} : { body: call.body }),
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    }),
  );
  if (!succeeded(outcome)) throw new HookFailedError(describe(names[call.hook], outcome));
}

function describe(hook: HookName, outcome: HookOutcome): string {
  switch (outcome.type) {
    case 'answered':
      return terminationReasons.hookStatus(hook, outcome.status);
    case 'refused':
      return terminationReasons.hookRefused(hook);
    case 'timed-out':
      return terminationReasons.hookTimedOut(hook);
  }
}
