/*
 * A PostgreSQL server that is killed while microVMs are put to sleep, and comes back: what has happened is stored once
 * it is there, whatever its connections said when it went.
 */
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { PostgresServer, postgresPrograms } from '../support/postgres-server.ts';
import { goesOn, holdsTogether, livesAndEnds } from './invariants.ts';
import { awake, idOf, type Subject } from './scenarios.ts';
import { World } from './world.ts';

const together = 3;
/** Steps between those that it is killed at. */
const stride = 5;

const programs = await postgresPrograms();
const skip = programs === undefined && 'no PostgreSQL server is here (Debian package postgresql)';

describe('a database that is killed during suspends', { skip, timeout: 300_000 }, () => {
  let postgres: PostgresServer;
  let world: World;
  before(async () => {
    postgres = await PostgresServer.start(programs ?? '');
    world = await World.create({ database: await postgres.newDatabase() });
  });
  after(async () => {
    await world.stop();
    await world.destroy();
    await postgres.stop();
  });

  /** As a client does it: what was not taken is asked for again. */
  async function suspend(subject: Subject): Promise<void> {
    for (;;) {
      try {
        return await world.call(({ microvms }) => microvms.suspend(idOf(subject)));
      } catch (error) {
        assert.equal(error instanceof Error && error.name, 'StoreUnavailableError');
        await world.call(() => new Promise((resolve) => setTimeout(resolve, 20)));
      }
    }
  }

  it('costs none of them its sleep', async () => {
    const subjects: Subject[] = [];
    while (subjects.length < together) subjects.push(await awake(world));
    let kills = 0;
    for (let at = 0; ; at += stride) {
      let back: Promise<void> | undefined;
      const kill = (): void => {
        postgres.killUnnoticed();
        back = postgres.begin();
      };
      world.server.process.plan({ type: 'kill-database', at, kill });
      await Promise.all(subjects.map(suspend));
      for (const subject of subjects) await world.reaches(idOf(subject), 'SUSPENDED');
      world.server.process.plan({ type: 'none' });
      if (back === undefined) break;
      await back;
      kills += 1;
      for (const subject of subjects) await goesOn(world, subject);
    }
    assert.ok(kills > 3, `${kills} kills`);
    for (const subject of subjects) await livesAndEnds(world, subject);
    await holdsTogether(world);
  });
});
