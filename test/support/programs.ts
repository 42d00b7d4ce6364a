import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import path from 'node:path';

/** Why tests that need a program are skipped here; false when it is installed. */
export async function absence(program: string, debianPackage: string): Promise<string | false> {
  for (const directory of (process.env.PATH ?? '').split(path.delimiter)) {
    try {
      await access(path.join(directory, program), constants.X_OK);
      return false;
    } catch {
      // Not in this one.
    }
  }
  return `${program} is not here (Debian package ${debianPackage})`;
}
