import type { Image, SnapshotSizes } from '../model/image.ts';
import type { BuildRecord } from '../store/images.ts';
import type { BuildFailure } from './build-failure.ts';

/** What came of a build; `sizes` holds what had been made by then (spec section 3.4). */
export type BuildOutcome =
  | {
      readonly type: 'successful';
      readonly sizes: SnapshotSizes;
      /** What the version's owner should be told of it. */
      readonly warning?: string;
    }
  | { readonly type: 'failed'; readonly failure: BuildFailure; readonly sizes: SnapshotSizes | null };

/** Makes versions of images. */
export interface ImageBuilder {
  /** Called once, before everything else. */
  prepare(): Promise<void>;
  /**
   * Makes a version's files. Whatever the outcome, nothing else is left.
   * @throws the signal's reason when aborted
   */
  build(record: BuildRecord, signal: AbortSignal): Promise<BuildOutcome>;
  /** Removes what builds that did not end in order have left. Only while no build is running. */
  tidy(signal: AbortSignal): Promise<void>;
  /** Drops what was kept to build the next version of an image faster. */
  forget(image: Image): Promise<void>;
}
