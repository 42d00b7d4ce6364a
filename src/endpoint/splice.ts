import type { Duplex } from 'node:stream';
import { breakOff } from './break-off.ts';

/**
 * Joins two byte streams until both have ended. The end of one direction is passed on and leaves the other
 * open; the failure of one stream resets the other.
 */
export function splice(a: Duplex, b: Duplex): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => breakOff(to));
    from.once('close', () => {
      // Everything received was passed on if the stream had ended; otherwise it was cut short.
      if (!from.readableEnded || !from.writableFinished) breakOff(to);
    });
  }
}
