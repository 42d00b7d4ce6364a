import type { Readable } from 'node:stream';
import { WorkBudget } from '../model/work-budget.ts';

/** Bytes of one program that are handled before everybody else has a turn. */
const turnBytes = 128 * 1024;
/** Read of one program, a second and at once: what it prints beyond that it waits for. */
const bytesPerSecond = 32 * 1024 * 1024;
const burstBytes = 8 * 1024 * 1024;

/** Reads what a program says on all its outputs in short turns and at a bounded rate. */
export class OutputReader {
  readonly #budget = new WorkBudget(bytesPerSecond, burstBytes);

  read(stream: Readable, onChunk: (chunk: Buffer) => void): void {
    let inTurn = 0;
    const goOn = (): void => {
      inTurn = 0;
      stream.resume();
    };
    stream.on('data', (chunk: Buffer) => {
      onChunk(chunk);
      this.#budget.spend(chunk.length);
      inTurn += chunk.length;
      const { waitMs } = this.#budget;
      if (waitMs === 0 && inTurn < turnBytes) return;
      stream.pause();
      if (waitMs > 0) setTimeout(goOn, waitMs);
      else setImmediate(goOn);
    });
  }
}
