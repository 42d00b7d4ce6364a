import path from 'node:path';
import type { ImagePaths } from '../../images/image-paths.ts';
import type { Store } from '../../store/database.ts';

/** What an examination of a data directory works with. */
export interface DataContext {
  /** Absolute; no server works on it meanwhile. */
  readonly directory: string;
  readonly paths: ImagePaths;
  /** The memory-difference program. */
  readonly helper: string;
  /** To look at only. */
  readonly reading: Store;
  /** Opened, and brought up to date, by the first repair that changes it. */
  readonly writing: () => Promise<Store>;
  readonly now: () => number;
  /** Where the kernel says what is mounted, if not in the usual place. */
  readonly mountInfo?: string | undefined;
}

/** Where a microVM keeps its files. */
export function microvmDirectory({ directory }: Pick<DataContext, 'directory'>, microvmId: string): string {
  return path.join(directory, 'microvms', microvmId);
}
