import { access, constants } from 'node:fs/promises';
import type { Assets } from '../../assets.ts';

/** The runsc that the set-up provided; undefined where it could not. */
export async function findRunsc(assets: Assets): Promise<string | undefined> {
  return await access(assets.runsc, constants.X_OK).then(
    () => assets.runsc,
    () => undefined,
  );
}
