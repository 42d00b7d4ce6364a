import type { Duplex } from 'node:stream';
import { breakOff } from './break-off.ts';

/**
 * Joins two byte streams until both have ended. The end of one direction is passed on and leaves the other
 * open; the failure of one stream resets the other.
 */
export function splice(a: Duplex, b: Duplex): void {
  pass(a, b);
  pass(b, a);
}

/** While so much waits to be written, small pieces wait for each other: each costs some hundred bytes besides its own. */
const mostOfSmall = 4096;
const smallPiece = 512;

/** One direction. What `pipe` does besides costs more than the rest for a small message. */
function pass(from: Duplex, to: Duplex): void {
  from.on('data', (chunk: Buffer) => {
    if (chunk.length < smallPiece && to.writableLength > mostOfSmall) {
      from.pause();
      to.write(chunk, () => from.resume());
    } else if (!to.write(chunk)) from.pause();
  });
  to.on('drain', () => from.resume());
  from.once('end', () => to.end());
  from.on('error', () => breakOff(to));
  from.once('close', () => {
    // Everything received was passed on if the stream had ended; otherwise it was cut short.
    if (!from.readableEnded || !from.writableFinished) breakOff(to);
  });
  from.resume();
}
