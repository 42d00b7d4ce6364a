import { type ActivitySettings, type CpuReading, countsAsActivity, cpuPercent } from '../model/activity.ts';
import type { Clock } from '../model/clock.ts';
import type { ActivitySettingsRepository } from '../store/activity-settings.ts';
import type { VmmInstance } from '../vmm/vmm.ts';

/** Between two looks at the CPU time of microVMs whose owners ask for it. */
export const samplingMs = 5000;

/**
 * What keeps microVMs awake besides bytes. Settings are stored before they count. One timer serves all microVMs whose
 * CPU time matters, and there is none without them; sessions are looked at only when a microVM would fall asleep.
 */
export class Activity {
  readonly #repository: ActivitySettingsRepository;
  readonly #clock: Clock;
  readonly #settings = new Map<string, ActivitySettings>();
  readonly #unsaid: ActivitySettings;
  readonly #requests = new Map<string, number>();
  readonly #sessions = new Map<string, number>();
  readonly #cpu = new Map<string, { reading: CpuReading; percent: number | undefined }>();
  #look: ((microvmId: string) => Promise<void>) | undefined;
  #cancelTimer: (() => void) | undefined;

  /** @param unsaid what counts for microVMs whose owner has not said it */
  constructor(repository: ActivitySettingsRepository, clock: Clock, unsaid: ActivitySettings) {
    this.#unsaid = unsaid;
    this.#repository = repository;
    this.#clock = clock;
  }

  settingsOf(microvmId: string): ActivitySettings {
    return this.#settings.get(microvmId) ?? this.#unsaid;
  }

  async set(microvmId: string, settings: ActivitySettings): Promise<void> {
    await this.#repository.set(microvmId, settings);
    this.#settings.set(microvmId, settings);
    this.#cpu.delete(microvmId);
    this.#watch();
  }

  /** A fork goes on as its parent does. */
  async inherit(child: string, parent: string): Promise<void> {
    const settings = this.#settings.get(parent);
    if (settings !== undefined) await this.set(child, settings);
  }

  /** The microVM has ended. */
  async forget(microvmId: string): Promise<void> {
    this.#requests.delete(microvmId);
    this.#sessions.delete(microvmId);
    this.#cpu.delete(microvmId);
    if (this.#settings.delete(microvmId)) await this.#repository.remove(microvmId);
  }

  /** Reads what an earlier server stored, and forgets what is of microVMs that are no more. */
  async recover(live: ReadonlySet<string>): Promise<void> {
    for (const { microvmId, settings } of await this.#repository.listAll()) {
      if (live.has(microvmId)) this.#settings.set(microvmId, settings);
      else await this.#repository.remove(microvmId);
    }
  }

  /**
   * Counts a session until `exit` settles.
   * @param look called right before it ends to count: from then on the microVM is without activity
   */
  watchSession(microvmId: string, exit: Promise<unknown>, look: () => Promise<void>): void {
    change(this.#sessions, microvmId, 1);
    const end = (): Promise<void> => look().finally(() => change(this.#sessions, microvmId, -1));
    exit.then(end, end).catch(() => undefined);
  }

  /** Counts a request that begins (1) or is over (-1). Its bytes are noted elsewhere. */
  countRequest(microvmId: string, by: 1 | -1): void {
    change(this.#requests, microvmId, by);
  }

  /** Whether a running microVM does something that its owner wants to count. */
  async isBusy(microvmId: string, instance: Pick<VmmInstance, 'usage'>): Promise<boolean> {
    const settings = this.settingsOf(microvmId);
    const execSessions = this.#sessions.get(microvmId) ?? 0;
    const percent = settings.guestCpuPercent === null ? undefined : await this.#measure(microvmId, instance);
    const requests = this.#requests.get(microvmId) ?? 0;
    return countsAsActivity(settings, { requests, execSessions, cpuPercent: percent });
  }

  /** @param look called every few seconds for each microVM whose CPU time matters; it asks {@link isBusy} */
  start(look: (microvmId: string) => Promise<void>): void {
    this.#look = look;
    this.#watch();
  }

  close(): void {
    this.#look = undefined;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  async #measure(microvmId: string, instance: Pick<VmmInstance, 'usage'>): Promise<number | undefined> {
    const { cpuSeconds } = await instance.usage();
    const reading = { at: this.#clock.now(), cpuSeconds };
    const last = this.#cpu.get(microvmId);
    const percent = cpuPercent(last?.reading, reading);
    // Right after another reading the last figure is the better one.
    if (percent === undefined && last !== undefined && cpuSeconds >= last.reading.cpuSeconds)
      return last.percent;
    this.#cpu.set(microvmId, { reading, percent });
    return percent;
  }

  #watch(): void {
    const watched = [...this.#settings].filter(([, settings]) => settings.guestCpuPercent !== null);
    if (this.#look === undefined || this.#cancelTimer !== undefined || watched.length === 0) return;
    this.#cancelTimer = this.#clock.schedule(samplingMs, () => {
      this.#cancelTimer = undefined;
      // A look that fails is a look at a microVM that has just gone to sleep, or ended.
      const looks = watched.map(async ([microvmId]) => this.#look?.(microvmId));
      void Promise.allSettled(looks).then(() => this.#watch());
    });
  }
}

function change(counts: Map<string, number>, key: string, by: 1 | -1): void {
  const left = (counts.get(key) ?? 0) + by;
  if (left > 0) counts.set(key, left);
  else counts.delete(key);
}
