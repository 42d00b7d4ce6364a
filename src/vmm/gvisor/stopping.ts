import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

/*
 * A sandbox is stopped by a signal to the process that is its kernel and to those that run its programs' code.
 * Unlike an order to its kernel this can be repeated, and anybody can see whether it has been done.
 */

const lookMs = 1;
const patienceMs = 10_000;

/** Nothing in the sandbox runs when it resolves. @param pid of its kernel */
export async function stopSandbox(pid: number): Promise<void> {
  // First the kernel, which alone makes others.
  await signalAndAwait(pid, 'SIGSTOP');
  for (const child of await childrenOf(pid)) await signalAndAwait(child, 'SIGSTOP');
}

/** Lets all of it go on. */
export async function continueSandbox(pid: number): Promise<void> {
  for (const child of await childrenOf(pid)) signal(child, 'SIGCONT');
  signal(pid, 'SIGCONT');
}

export async function isStopped(pid: number): Promise<boolean> {
  return (await stateOf(pid)) === 'T';
}

async function signalAndAwait(pid: number, name: NodeJS.Signals): Promise<void> {
  signal(pid, name);
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const state = await stateOf(pid);
    if (state === undefined || state === 'T' || state === 't' || state === 'Z') return;
    if (performance.now() > deadline) return;
    await delay(lookMs);
  }
}

/** One that is gone needs no signal. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
  }
}

async function stateOf(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  return text?.charAt(text.lastIndexOf(')') + 2);
}

/** All below a process. */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => []);
  const lists = await Promise.all(
    tasks.map((task) => readFile(`/proc/${pid}/task/${task}/children`, 'latin1').catch(() => '')),
  );
  const children = lists.flatMap((list) => list.split(' ').filter(Boolean).map(Number));
  const below = await Promise.all(children.map(childrenOf));
  return [...children, ...below.flat()];
}
