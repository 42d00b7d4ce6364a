import { rmdir } from 'node:fs/promises';
import path from 'node:path';

const controlGroups = '/sys/fs/cgroup';

/** The control group that build-sandbox puts builds in: of version 2, or one for each controller of version 1. */
const groups = ['.', 'pids', 'memory'].map((controller) =>
  path.join(controlGroups, controller, 'dormouse-builds'),
);

/** Removes the control group of builds, unless some build is in it or there is none. */
export async function removeIdleBuildGroup(): Promise<void> {
  await Promise.all(groups.map((group) => rmdir(group).catch(ignoreUseAndAbsence)));
}

function ignoreUseAndAbsence(error: NodeJS.ErrnoException): void {
  if (!['EBUSY', 'ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'EROFS'].includes(error.code ?? '')) throw error;
}
