import { readdir, readFile } from 'node:fs/promises';

export interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly argv: readonly string[];
}

/** Every process there is; one that ends meanwhile may be missing. */
async function processes(): Promise<readonly Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid): Promise<readonly Process[]> => {
      try {
        const [stat, argv] = await Promise.all([
          readFile(`/proc/${pid}/stat`, 'utf8'),
          readFile(`/proc/${pid}/cmdline`, 'utf8'),
        ]);
        // The name may hold anything, a parenthesis too.
        const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        return [{ pid: Number(pid), parent: Number(parent), argv: argv.split('\0') }];
      } catch {
        return [];
      }
    }),
  );
  return found.flat();
}

export async function childrenOf(pid: number): Promise<readonly Process[]> {
  return (await processes()).filter(({ parent }) => parent === pid);
}

/** A process and all that it started and that is still below it. */
export async function treeOf(root: number): Promise<readonly number[]> {
  const all = await processes();
  const tree = [root];
  for (const pid of tree) {
    for (const process of all) if (process.parent === pid) tree.push(process.pid);
  }
  return tree;
}

export function kill(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
}
