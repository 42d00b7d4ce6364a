/** What keeps a microVM awake besides bytes across its endpoint, when its owner asks for it; an extension. */
export interface ActivitySettings {
  /** Processes run in it through `dormouse exec` and `dormouse shell`. */
  readonly execSessions: boolean;
  /** Use of its CPUs, in percent of one CPU, from which on it counts as active; null never. */
  readonly guestCpuPercent: number | null;
}

/** As the service has it (spec section 4.4). */
export const bytesOnly: ActivitySettings = { execSessions: false, guestCpuPercent: null };

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
  seen: { readonly execSessions: number; readonly cpuPercent: number | undefined },
): boolean {
  if (settings.execSessions && seen.execSessions > 0) return true;
  return settings.guestCpuPercent !== null && (seen.cpuPercent ?? 100) >= settings.guestCpuPercent;
}
