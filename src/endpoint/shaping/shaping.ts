import type { Duplex } from 'node:stream';
import type { Clock } from '../../model/clock.ts';
import type { Microvm } from '../../model/microvm.ts';
import type { Dialer } from '../dialer.ts';
import { ShapedStream } from './shaped-stream.ts';
import { TokenBucket } from './token-bucket.ts';

/** Opens connections into microVMs, each microVM's together no faster than its size allows. */
export interface ShapedDialer extends Pick<Dialer, 'associate' | 'join'> {
  /** @throws as {@link Dialer.connect} does */
  connect(vm: Pick<Microvm, 'microvmId' | 'memoryMib'>, port: number, signal: AbortSignal): Promise<Duplex>;
  /** Forgets microVMs that owe nothing. Call it every few seconds. */
  sweep(): void;
}

/** Seconds' worth of bytes that may pass at once after a pause. */
const burstSeconds = 0.25;

/** @param bytesPerSecondOf what a microVM's connections get together, in both directions; infinite for any rate */
export function shapeDialer(
  dialer: Dialer,
  bytesPerSecondOf: (vm: Pick<Microvm, 'memoryMib'>) => number,
  clock: Clock,
): ShapedDialer {
  const buckets = new Map<string, { readonly bucket: TokenBucket; open: number }>();

  function bucketOf(microvmId: string, rate: number): { readonly bucket: TokenBucket; open: number } {
    let entry = buckets.get(microvmId);
    if (entry === undefined) {
      entry = { bucket: new TokenBucket(rate, rate * burstSeconds, clock), open: 0 };
      buckets.set(microvmId, entry);
    }
    return entry;
  }

  return {
    associate: dialer.associate,
    join: dialer.join,
    async connect(vm, port, signal) {
      const connection = await dialer.connect(vm.microvmId, port, signal);
      const rate = bytesPerSecondOf(vm);
      if (rate === Number.POSITIVE_INFINITY) return connection;
      const entry = bucketOf(vm.microvmId, rate);
      entry.open += 1;
      const shaped = new ShapedStream(connection, entry.bucket);
      shaped.once('close', () => {
        entry.open -= 1;
      });
      return shaped.on('error', () => undefined);
    },
    sweep() {
      for (const [microvmId, { bucket, open }] of buckets) {
        if (open === 0 && bucket.full) buckets.delete(microvmId);
      }
    },
  };
}
