import type { Assets } from '../assets.ts';
import type { ProbeOptions } from '../vmm/probe/accelerator-probe.ts';
import { checkAccelerator } from './accelerator.ts';
import { checkAssets } from './assets.ts';
import type { Check, DoctorReport } from './check.ts';
import { checkConfinement } from './confinement.ts';
import { checkHost } from './host.ts';
import { checkNode, checkPrograms } from './programs.ts';

export type { Check, DoctorReport } from './check.ts';

export interface DoctorOptions {
  readonly assets: Assets;
  /** Where the server keeps its state, or would: it need not exist. */
  readonly dataDirectory: string;
  /** How the accelerator is looked for; without a cache file a guest is booted. */
  readonly probe?: ProbeOptions;
  /** Directories to look for programs in, as in PATH. */
  readonly searchPath?: string;
}

/** Examines this machine for all the server needs. Never rejects: what cannot be examined is a failed check. */
export async function runDoctor(options: DoctorOptions): Promise<DoctorReport> {
  const groups: readonly (readonly Check[])[] = await Promise.all([
    checkNode().then((check) => [check]),
    checkPrograms(options.searchPath),
    checkAssets(options.assets),
    checkAccelerator(options.assets, options.probe ?? {}).then((check) => [check]),
    checkConfinement(options.assets, options.probe?.qemuPath).then((check) => [check]),
    checkHost(options.dataDirectory),
  ]);
  const checks = groups.flat();
  return { ok: checks.every(({ ok, required }) => ok || !required), checks };
}
