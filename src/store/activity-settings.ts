import type { ActivitySettings } from '../model/activity.ts';
import type { Store } from './database.ts';

/** Rows of what keeps microVMs awake besides bytes. */
export class ActivitySettingsRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async set(microvmId: string, settings: ActivitySettings): Promise<void> {
    const values = {
      requests: settings.requests ? 1 : 0,
      exec_sessions: settings.execSessions ? 1 : 0,
      guest_cpu_percent: settings.guestCpuPercent,
    };
    await this.#store
      .insertInto('activity_settings')
      .values({ microvm_id: microvmId, ...values })
      .onConflict((conflict) => conflict.column('microvm_id').doUpdateSet(values))
      .execute();
  }

  async remove(microvmId: string): Promise<void> {
    await this.#store.deleteFrom('activity_settings').where('microvm_id', '=', microvmId).execute();
  }

  async listAll(): Promise<readonly { readonly microvmId: string; readonly settings: ActivitySettings }[]> {
    const rows = await this.#store.selectFrom('activity_settings').selectAll().execute();
    return rows.map((row) => ({
      microvmId: row.microvm_id,
      settings: {
        requests: row.requests === 1,
        execSessions: row.exec_sessions === 1,
        guestCpuPercent: row.guest_cpu_percent,
      },
    }));
  }
}
