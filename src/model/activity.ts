import type { Profile } from './limits.ts';

/** What keeps a microVM awake besides bytes across its endpoint; an extension. */
export interface ActivitySettings {
  /** HTTP requests that wait for their answer or its end; WebSockets and tunnels count by their bytes alone. */
  readonly requests: boolean;
  /** Processes run in it through `dormouse exec` and `dormouse shell`. */
  readonly execSessions: boolean;
  /** Use of its CPUs, in percent of one CPU, from which on it counts as active; null never. */
  readonly guestCpuPercent: number | null;
}

/** As the service has it (spec section 4.4). */
export const bytesOnly: ActivitySettings = { requests: false, execSessions: false, guestCpuPercent: null };

/** What is under way is not cut, unless its owner wants that. */
const underWay: ActivitySettings = { requests: true, execSessions: true, guestCpuPercent: null };

/** What counts for microVMs whose owner has not said it. */
export const defaultActivity: Readonly<Record<Profile, ActivitySettings>> = {
  aws: bytesOnly,
  relaxed: underWay,
};

/** CPU time of a process, read at one moment. */
export interface CpuReading {
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly cpuSeconds: number;
}

/** Closer readings say nothing: the kernel counts in ticks of 10 ms. */
const shortestSpanMs = 200;

/** Percent of one CPU between two readings; undefined when they cannot be compared. */
export function cpuPercent(before: CpuReading | undefined, now: CpuReading): number | undefined {
  if (before === undefined) return undefined;
  const spanMs = now.at - before.at;
  // A process that was started since begins anew.
  if (spanMs < shortestSpanMs || now.cpuSeconds < before.cpuSeconds) return undefined;
  return ((now.cpuSeconds - before.cpuSeconds) * 100_000) / spanMs;
}

/**
 * Whether what was seen of a microVM counts as activity.
 * @param seen.cpuPercent undefined when it is not known yet, which is in the microVM's favour
 */
export function countsAsActivity(
  settings: ActivitySettings,
  seen: { readonly requests: number; readonly execSessions: number; readonly cpuPercent: number | undefined },
): boolean {
  if (settings.requests && seen.requests > 0) return true;
  if (settings.execSessions && seen.execSessions > 0) return true;
  return settings.guestCpuPercent !== null && (seen.cpuPercent ?? 100) >= settings.guestCpuPercent;
}
