import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { VmmError } from '../vmm.ts';
import { sandboxFiles } from './vm-files.ts';

const state = z.object({
  goferPid: z.number().int().optional(),
  sandbox: z.object({ pid: z.number().int() }),
});

/** What runsc has noted about its sandbox. */
export interface SandboxState {
  readonly pid: number;
  /** Of the process that serves files to it, where there is one. */
  readonly goferPid: number | undefined;
}

/** @throws {VmmError} nothing that makes sense is noted */
export async function readSandboxState(directory: string, id: string): Promise<SandboxState> {
  const file = path.join(directory, sandboxFiles.state, `${id}_sandbox:${id}.state`);
  try {
    const { goferPid, sandbox } = state.parse(JSON.parse(await readFile(file, 'utf8')));
    return { pid: sandbox.pid, goferPid: goferPid || undefined };
  } catch (error) {
    throw new VmmError('runsc has noted nothing about its sandbox', { cause: error });
  }
}
