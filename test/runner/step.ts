import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { childrenOf, kill, type Process, treeOf } from './processes.ts';

const graceMs = 10_000;

export interface Step {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
}

export interface Limits {
  /** How long a process that the step's own process starts may take: a test file, or a tool. */
  readonly fileMs: number;
  /** How often that is looked at. */
  readonly lookMs: number;
  /** Called when one has been killed for it. */
  readonly onOverdue: (file: string) => void;
  /** Ends the step. */
  readonly signal: AbortSignal;
}

/**
 * Runs a step to its end. Node's runner limits tests but not files: one that spins, or whose process lives on, would
 * keep it waiting for ever.
 * @returns whether it passed; not when anything had to be killed
 */
export async function run(step: Step, cwd: string, limits: Limits): Promise<boolean> {
  limits.signal.throwIfAborted();
  const child = spawn(step.command, step.arguments, { cwd, stdio: 'inherit' });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const { pid } = child;
  if (pid === undefined) return await exited.then(() => false);
  const seen = new Map<number, number>();
  const killed = new Set<number>();
  const watch = setInterval(async () => {
    for (const overdue of await overdueBelow(pid, seen, limits.fileMs)) {
      // It may take a moment to be gone, in which it is found again.
      const isKnown = killed.has(overdue.pid);
      killed.add(overdue.pid);
      kill(await treeOf(overdue.pid));
      if (!isKnown) limits.onOverdue(nameOf(overdue));
    }
  }, limits.lookMs);
  const end = async () => {
    // What the runner leaves behind is no longer below it.
    const tree = await treeOf(pid);
    // Asked to end, the runner names what it was running.
    child.kill('SIGTERM');
    await Promise.race([exited, delay(graceMs, undefined, { ref: false })]);
    kill(tree);
  };
  let ended: Promise<void> | undefined;
  const onAbort = () => {
    ended = end();
  };
  limits.signal.addEventListener('abort', onAbort);
  try {
    const [code] = await exited;
    await ended;
    return code === 0 && killed.size === 0;
  } finally {
    clearInterval(watch);
    limits.signal.removeEventListener('abort', onAbort);
  }
}

async function overdueBelow(
  pid: number,
  seen: Map<number, number>,
  limitMs: number,
): Promise<readonly Process[]> {
  const now = performance.now();
  const children = await childrenOf(pid);
  for (const child of children) if (!seen.has(child.pid)) seen.set(child.pid, now);
  return children.filter((child) => now - (seen.get(child.pid) ?? now) > limitMs);
}

function nameOf({ argv }: Process): string {
  return argv.findLast((argument) => argument.endsWith('.test.ts')) ?? argv.join(' ');
}
