import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { findExecutable, hostArchitecture, qemuProgram } from '../vmm/probe/host.ts';
import { type Check, inspect, setupRemedy } from './check.ts';

const run = promisify(execFile);

interface Program {
  readonly executable: string;
  /** The Debian package it is in. */
  readonly debianPackage: string;
  readonly use: string;
  readonly versionFlag?: string;
  readonly oldest?: number;
}

function programs(): readonly Program[] {
  const architecture = hostArchitecture();
  return [
    {
      executable: qemuProgram(architecture),
      debianPackage: architecture === 'x86_64' ? 'qemu-system-x86' : 'qemu-system-arm',
      use: 'runs microVMs',
      oldest: 10,
    },
    { executable: 'qemu-img', debianPackage: 'qemu-utils', use: 'makes disks', oldest: 10 },
    { executable: 'buildah', debianPackage: 'buildah', use: 'builds Dockerfiles', oldest: 1 },
    { executable: 'mke2fs', debianPackage: 'e2fsprogs', use: 'makes root file systems', versionFlag: '-V' },
  ];
}

/** Programs the server starts. What only the set-up uses is the set-up's affair. */
export async function checkPrograms(searchPath?: string): Promise<readonly Check[]> {
  const processor = await inspect('processor', true, async () => ({ ok: true, detail: hostArchitecture() }));
  if (!processor.ok) return [processor];
  return [processor, ...(await Promise.all(programs().map((program) => checkProgram(program, searchPath))))];
}

function checkProgram(program: Program, searchPath: string | undefined): Promise<Check> {
  const { executable, debianPackage, use, versionFlag = '--version', oldest = 0 } = program;
  return inspect(executable, true, async () => {
    const remedy = `${setupRemedy}, which installs the Debian package ${debianPackage}`;
    const file = await findExecutable(executable, searchPath);
    if (file === undefined) return { ok: false, detail: `not installed; it ${use}`, remedy };
    // mke2fs speaks of its version on standard error.
    const { stdout, stderr } = await run(file, [versionFlag], { timeout: 20_000 });
    const version = /\d+(?:\.\d+)+/.exec(`${stdout}\n${stderr}`)?.[0];
    if (version === undefined) return { ok: false, detail: `${file} does not say its version`, remedy };
    if (Number.parseInt(version, 10) >= oldest) return { ok: true, detail: `${version} (${file})` };
    return { ok: false, detail: `${version} is too old: ${oldest} or newer is needed`, remedy };
  });
}

/** The server itself needs a Node that runs TypeScript. */
export function checkNode(): Promise<Check> {
  return inspect('node', true, async () => {
    const ok = Number.parseInt(process.versions.node, 10) >= 24;
    const remedy = 'run scripts/setup, and start the server by bin/dormouse or npm start';
    return { ok, detail: process.versions.node, ...(!ok && { remedy }) };
  });
}
