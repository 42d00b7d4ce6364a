import type { Clock } from '../model/clock.ts';
import { vcpusFor } from '../model/limits.ts';
import { repeatedly } from '../telemetry/repeatedly.ts';

/** What a running microVM has used so far. */
export interface MicrovmUsage {
  readonly microvmId: string;
  readonly memoryMib: number;
  /** Since its process began: a wake begins anew. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** A look at a microVM. Percentages are of the size that it was given. */
export interface UsageSample {
  /** Epoch milliseconds. */
  readonly time: number;
  readonly cpuPercent: number;
  readonly memoryPercent: number;
}

export const sampleIntervalMs = 60_000;
/** Three hours of a microVM that runs all the time. */
const samplesPerMicrovm = 180;
const mostMicrovms = 2000;

interface Kept {
  samples: UsageSample[];
  cpuSeconds: number;
  readAt: number;
}

/** What microVMs used lately, minute by minute while they ran. It is in memory only, and starts empty. */
export class UsageHistory {
  readonly #kept = new Map<string, Kept>();

  /** The first look at a microVM begins its history; a rate needs two. */
  record(now: number, usages: readonly MicrovmUsage[]): void {
    for (const { microvmId, memoryMib, cpuSeconds, residentBytes } of usages) {
      const known = this.#kept.get(microvmId);
      const samples = known?.samples ?? [];
      if (known !== undefined && cpuSeconds >= known.cpuSeconds && now > known.readAt) {
        const seconds = (now - known.readAt) / 1000;
        samples.push({
          time: now,
          cpuPercent: ((cpuSeconds - known.cpuSeconds) / seconds / vcpusFor(memoryMib)) * 100,
          memoryPercent: (residentBytes / (memoryMib * 2 ** 20)) * 100,
        });
        if (samples.length > samplesPerMicrovm) samples.shift();
      }
      // Those looked at last are at the end, and those at the beginning go first.
      this.#kept.delete(microvmId);
      this.#kept.set(microvmId, { samples, cpuSeconds, readAt: now });
    }
    for (const microvmId of this.#kept.keys()) {
      if (this.#kept.size <= mostMicrovms) return;
      this.#kept.delete(microvmId);
    }
  }

  /** What is kept of a microVM, oldest first. */
  of(microvmId: string): readonly UsageSample[] {
    return this.#kept.get(microvmId)?.samples ?? [];
  }
}

/** Looks at all microVMs now and every minute, until `close` is called. */
export function watchUsage(
  read: () => Promise<readonly MicrovmUsage[]>,
  clock: Clock,
  onError: (error: unknown) => void,
): { readonly history: UsageHistory; readonly close: () => Promise<void> } {
  const history = new UsageHistory();
  const look = async (): Promise<void> => history.record(clock.now(), await read());
  return { history, close: repeatedly(look, { intervalMs: sampleIntervalMs, clock, onError }) };
}

/** What those use that have a process; one that ends meanwhile is left out. */
export async function usagesOf(
  controllers: Iterable<{
    readonly vm: { readonly microvmId: string; readonly memoryMib: number };
    readonly live?:
      | {
          readonly instance: {
            usage(): Promise<{ readonly cpuSeconds: number; readonly residentBytes: number }>;
          };
        }
      | undefined;
  }>,
): Promise<readonly MicrovmUsage[]> {
  const found: MicrovmUsage[] = [];
  for (const { vm, live } of controllers) {
    const usage = await live?.instance.usage().catch(() => undefined);
    if (usage === undefined) continue;
    const { cpuSeconds, residentBytes } = usage;
    found.push({ microvmId: vm.microvmId, memoryMib: vm.memoryMib, cpuSeconds, residentBytes });
  }
  return found;
}
