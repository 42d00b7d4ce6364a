import { streamWindow } from './wire.ts';

/** What the windows of all streams of a session come to before new ones get no more than the smallest. */
const windowsBytes = 32 * 1024 * 1024;
const smallestWindow = 16 * 1024;
/** A new stream gets this part of what is left, if that is less than a whole window. */
const parts = 16;

/** What the guest may have under way on one stream. */
export interface Window {
  readonly bytes: number;
  /** The stream is gone. */
  release(): void;
}

/**
 * Windows of one session's streams. A guest may fill all of them for readers that are slow, so the more there are the
 * smaller new ones are: some hundred streams have whole ones.
 */
export class Windows {
  #left = windowsBytes;

  open(): Window {
    const bytes = Math.max(smallestWindow, Math.min(streamWindow, Math.floor(this.#left / parts)));
    this.#left -= bytes;
    let released = false;
    return {
      bytes,
      release: () => {
        if (!released) this.#left += bytes;
        released = true;
      },
    };
  }
}
