/** Commits to a new store, and says so each time: `node store-writer.ts FILE COMMITS`. */
import { writeSync } from 'node:fs';
import { openDatabase } from '../../src/store/database.ts';

const [file = '', commits = '1'] = process.argv.slice(2);
const store = await openDatabase(file);
for (let count = 0; count < Number(commits); count += 1) {
  // Large enough that the log is copied into the file now and then.
  await store
    .insertInto('settings')
    .values({ name: String(count), value: 'x'.repeat(100_000) })
    .execute();
  writeSync(1, 'committed\n');
}
await store.destroy();
