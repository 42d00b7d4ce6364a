import type { LogEvent } from '../../telemetry/log-store.ts';

/** Most that one answer holds, counted as the service counts. */
export const largestAnswer = 1024 * 1024;
const overhead = 26;

export function eventSize({ message }: LogEvent): number {
  return Buffer.byteLength(message) + overhead;
}
