/** One exam for every dialect that the metadata store speaks. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { openDatabase, type Store } from '../../src/store/database.ts';
import { EventLog } from '../../src/store/event-log.ts';
import { PostgresServer, postgresPrograms } from '../support/postgres-server.ts';
import { until } from '../support/until.ts';
import { change, examineEvents } from './exam/events.ts';
import { examineImages } from './exam/images.ts';
import { examineMicrovms } from './exam/microvms.ts';
import { examineObjects } from './exam/objects.ts';
import { examineSettings } from './exam/settings.ts';

/** Opens a store with nothing in it; the test's end closes it. */
export type OpenStore = (t: { after(work: () => Promise<void>): void }) => Promise<Store>;

function examine(open: OpenStore): void {
  examineMicrovms(open);
  examineImages(open);
  examineEvents(open);
  examineObjects(open);
  examineSettings(open);
}

function opener(locate: () => Promise<string>): OpenStore {
  return async (t) => {
    const store = await openDatabase(await locate());
    t.after(() => store.destroy());
    return store;
  };
}

describe('the store on SQLite', () => {
  examine(opener(async () => ':memory:'));
});

const programs = await postgresPrograms();
const skip = programs === undefined && 'no PostgreSQL server is here (Debian package postgresql)';

describe('the store on PostgreSQL', { skip }, () => {
  let server: PostgresServer;
  before(async () => {
    server = await PostgresServer.start(programs ?? '');
  });
  after(() => server.stop());
  examine(opener(() => server.newDatabase()));

  test('a second server opens what the first has made, and a server that starts at the same time waits', async (t) => {
    const url = await server.newDatabase();
    const stores = await Promise.all([openDatabase(url), openDatabase(url)]);
    t.after(async () => {
      for (const store of stores) await store.destroy();
    });
    const [one, two] = stores as [Store, Store];
    await one.insertInto('settings').values({ name: 'a', value: 'b' }).execute();
    assert.deepEqual(await two.selectFrom('settings').selectAll().execute(), [{ name: 'a', value: 'b' }]);
  });

  test('an event that is committed late is not passed over by readers', async (t) => {
    const store = await openDatabase(await server.newDatabase());
    t.after(() => store.destroy());
    // Keeps one transaction between its event and its commit.
    await sql`create function linger() returns trigger language plpgsql as
      'begin if new.to_state = ''LATE'' then perform pg_sleep(1); end if; return new; end'`.execute(store);
    await sql`create trigger linger after insert on events for each row execute function linger()`.execute(
      store,
    );
    const log = new EventLog(store);
    const late = log.transaction((_transaction, emit) => emit(1, { ...change, to: 'LATE' }));
    await until('the late one has its event', async () => {
      const { rows } = await sql`select 1 from pg_stat_activity where wait_event = 'PgSleep'`.execute(store);
      return rows.length > 0;
    });
    await log.transaction((_transaction, emit) => emit(2, { ...change, to: 'SOON' }));
    const seen = (await new EventLog(store).read(0, 10)).map(({ to }) => to);
    assert.deepEqual(seen, ['LATE', 'SOON']);
    await late;
  });

  test('a server that went away is told as such, and used again when it is back', async (t) => {
    const store = await openDatabase(await server.newDatabase());
    t.after(() => store.destroy());
    const read = () => store.selectFrom('settings').selectAll().execute();
    await read();
    await server.kill();
    await assert.rejects(read, { name: 'StoreUnavailableError', code: 'ERR_STORE_UNAVAILABLE' });
    await server.begin();
    assert.deepEqual(await read(), []);
  });

  test('a server that went away unnoticed is told as such', async (t) => {
    const store = await openDatabase(await server.newDatabase());
    t.after(() => store.destroy());
    const read = () => store.selectFrom('settings').selectAll().execute();
    await read();
    server.killUnnoticed();
    await assert.rejects(read, { name: 'StoreUnavailableError', code: 'ERR_STORE_UNAVAILABLE' });
    await server.begin();
    assert.deepEqual(await read(), []);
  });

  test('a server that goes away in the middle of a transaction ends that and nothing else', async (t) => {
    const store = await openDatabase(await server.newDatabase());
    t.after(() => store.destroy());
    const read = (from: Store) => from.selectFrom('settings').selectAll().execute();
    const cut = store.transaction().execute(async (transaction) => {
      await read(transaction);
      await server.kill();
      await read(transaction);
    });
    await assert.rejects(cut);
    await server.begin();
    assert.deepEqual(await read(store), []);
  });

  test('a commit is on the disk before it is reported done, whatever the default of the server', async (t) => {
    const store = await openDatabase(await server.newDatabase());
    t.after(() => store.destroy());
    await store.insertInto('settings').values({ name: 'kept', value: 'yes' }).execute();
    await server.kill();
    await server.begin();
    const rows = await store.selectFrom('settings').select('name').execute();
    assert.deepEqual(rows, [{ name: 'kept' }]);
  });
});
