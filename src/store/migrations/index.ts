import type { Migration } from 'kysely/migration';
import * as initial from './0001-initial.ts';

/** Forward only, applied in the order of their names; a landed migration never changes. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
};
