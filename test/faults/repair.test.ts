/** What `dormouse doctor` finds in a data directory: made, listed, repaired, gone, and nothing else touched. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, cp, mkdir, readdir, rename, rm, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, it } from 'node:test';
import type { Finding, FindingKind } from '../../src/doctor/data/finding.ts';
import { flipByte, processesIn } from '../contract/on-the-host.ts';
import { kernelGroups } from '../support/kernel-groups.ts';
import { imageArn, imageInput } from './image-of-world.ts';
import { goesOn, holdsTogether } from './invariants.ts';
import { asleep, awake, type Subject } from './scenarios.ts';
import { World } from './world.ts';

// What is loaded before the seam has no part in the crashes of servers, and would keep their connections.
const { locateAssets } = await import('../../src/assets.ts');
const { examineData } = await import('../../src/doctor/data/examine-data.ts');
const { dataKinds } = await import('../../src/doctor/data/finding.ts');
const { openData } = await import('../../src/doctor/data/open-data.ts');
const { repairFindings } = await import('../../src/doctor/data/repair.ts');
const { ControlGroups } = await import('../../src/vmm/qemu/control-groups.ts');
const { identify, killProcess } = await import('../../src/vmm/qemu/process.ts');
const { lockDataDirectory } = await import('../../src/instance-lock.ts');

type Problem = readonly [kind: FindingKind, subject: string];

describe('the examination of a data directory', { timeout: 240_000 }, () => {
  let world: World;
  let sleeping: Subject;
  let broken: Subject;
  let running: Subject;
  let killed: Subject;
  let checkpointId: string;

  before(async () => {
    world = await World.create();
    sleeping = await asleep(world);
    broken = await asleep(world);
    running = await awake(world);
    killed = await awake(world);
    ({ checkpointId } = await world.call(({ microvms }) =>
      microvms.checkpoints.create(running.vm.microvmId, 'moment'),
    ));
    await world.call(({ images }) => images.update(imageArn, imageInput));
    await world.imageSettles('UPDATING');
    await world.stop();
  });
  after(() => world.destroy());

  const at = (...names: string[]): string => path.join(world.directory, ...names);
  const memoryOf = (version: string): string => at('images/versions/web', version, 'snapshot/memory');
  const options = () => ({
    dataDirectory: world.directory,
    helper: locateAssets().memoryDifference,
    now: () => world.clock.now(),
    // Control groups are the whole machine's.
    mountInfo: at('no-mounts'),
  });

  async function found(): Promise<readonly Finding[]> {
    const { findings, close } = await examineData(options());
    await close();
    return findings;
  }

  async function lists(...problems: readonly Problem[]): Promise<void> {
    assert.deepEqual(
      (await found()).map(({ kind, subject }) => [kind, subject]),
      problems,
    );
  }

  /** Puts a damaged copy in a file's place, since a VM may have the file mapped; resolves with what takes it back. */
  async function damage(file: string): Promise<() => Promise<void>> {
    await rename(file, at('kept'));
    await cp(at('kept'), file);
    await flipByte(file);
    return () => rename(at('kept'), file);
  }

  /** Repairs the kinds given, and nothing else; resolves with what became of each finding. */
  async function repair(...kinds: readonly FindingKind[]): Promise<readonly string[]> {
    const { findings, close } = await examineData(options());
    const outcomes = await repairFindings(findings, async (kind) => kinds.includes(kind));
    await close();
    return outcomes.map(({ finding, outcome, error }) => `${finding.kind} ${outcome} ${error ?? ''}`.trim());
  }

  it('finds nothing where all is well, also beside a microVM that runs', () => lists());

  it('lists and removes files that belong to nobody', async () => {
    const stray = {
      'version-files': at('images/versions/web/9.0'),
      'microvm-files': at('microvms/microvm-0'),
      'build-files': at('images/builds/b'),
    };
    for (const directory of Object.values(stray)) {
      await mkdir(directory, { recursive: true });
      await writeFile(path.join(directory, 'file'), '');
    }
    await mkdir(at('s3/objects'), { recursive: true });
    await writeFile(at('s3/objects/blob'), '');
    const all: readonly Problem[] = [
      ...(Object.entries(stray) as Problem[]),
      ['object-files', at('s3/objects/blob')],
    ];
    await lists(...all);
    assert.deepEqual(await repair('build-files'), [
      'version-files kept',
      'microvm-files kept',
      'build-files repaired',
      'object-files kept',
    ]);
    await repair('version-files', 'microvm-files', 'object-files');
    await lists();
  });

  it('lists and ends a process of no microVM', async () => {
    const directory = at('microvms/microvm-gone');
    await mkdir(directory);
    const stray = spawn('sleep', ['600'], { cwd: directory });
    const exit = once(stray, 'exit');
    await once(stray, 'spawn');
    await lists(['process', `process ${stray.pid}`], ['microvm-files', directory]);
    await repair('process', 'microvm-files');
    assert.deepEqual(await exit, [null, 'SIGKILL']);
    await lists();
  });

  it('lists and removes what a process left that was killed', async () => {
    const { microvmId } = killed.vm;
    const directory = at('microvms', microvmId);
    const before = await readdir(directory);
    const identity = await identify(Number((await processesIn(directory))[0]));
    assert.ok(identity);
    await lists();
    await killProcess(identity);
    await lists(['vmm-files', microvmId]);
    assert.deepEqual(await repair('vmm-files'), ['vmm-files repaired']);
    const left = new Set(['process.json', 'qmp', 'agent', 'console']);
    assert.deepEqual(
      await readdir(directory),
      before.filter((name) => !left.delete(name)),
    );
    assert.equal(left.size, 0, 'all of them were there');
    await lists();
  });

  it('lists and removes a control group without a process, and that of a process it ends', async (t) => {
    const place = await kernelGroups();
    if (typeof place === 'string') return t.skip(place);
    t.after(() => place.remove());
    const groups = await ControlGroups.find({ name: 'dormouse-vms', mountInfo: place.mountInfo });
    const limits = { memoryMib: 128, vcpus: 1, overheadBytes: 2 ** 20 };
    const directories = ['gone', 'stray'].map((last) => at('microvms', `microvm-${last}`));
    const [gone, stray] = await Promise.all(
      directories.map(async (cwd) => {
        await mkdir(cwd);
        const sleeper = spawn('sleep', ['600'], { cwd });
        const exit = once(sleeper, 'exit');
        await once(sleeper, 'spawn');
        await groups.enclose(cwd, sleeper.pid ?? 0, limits);
        return { exit, kill: () => sleeper.kill('SIGKILL') };
      }),
    );
    const examine = () => examineData({ ...options(), mountInfo: place.mountInfo });
    const kinds = (findings: readonly Finding[]) => findings.map(({ kind }) => kind);
    gone?.kill();
    await gone?.exit;
    const { findings, close } = await examine();
    const outcomes = await repairFindings(findings, async () => true);
    await close();
    assert.deepEqual(kinds(findings), ['process', 'control-group', 'microvm-files', 'microvm-files']);
    assert.ok(outcomes.every(({ outcome }) => outcome === 'repaired'));
    await stray?.exit;
    const after = await examine();
    await after.close();
    assert.deepEqual(after.findings, []);
  });

  it('lists an object whose content is missing', async () => {
    const database = new DatabaseSync(at('dormouse.sqlite'));
    const insert =
      "INSERT INTO s3_objects (bucket, key, blob, size, etag, metadata, modified_at) VALUES ('b', 'k', 'x', 1, 'e', '{}', 1)";
    database.exec("INSERT INTO s3_buckets (name, created_at) VALUES ('b', 1)");
    database.exec(insert);
    database.close();
    await lists(['missing-object', 's3://b/k']);
    await repair('missing-object');
    await lists();
  });

  it('marks a damaged version, and marks it whole when its files are', async () => {
    const mend = await damage(memoryOf('2.0'));
    await lists(['unmarked-version', 'web 2.0'], ['damaged-version', 'web 2.0']);
    await repair('unmarked-version');
    await lists(['damaged-version', 'web 2.0']);
    await mend();
    await lists(['healed-version', 'web 2.0']);
    await repair('healed-version');
    await lists();
  });

  it('deletes a damaged version only where told to, and never one that microVMs stand on', async () => {
    await rm(memoryOf('2.0'));
    await repair('unmarked-version');
    await access(path.dirname(memoryOf('2.0')));
    await repair('damaged-version');
    assert.deepEqual(await readdir(at('images/versions/web')), ['1.0']);
    await lists();

    const mend = await damage(memoryOf('1.0'));
    assert.deepEqual(await repair('unmarked-version', 'damaged-version'), [
      'unmarked-version repaired',
      'damaged-version not-repairable',
    ]);
    await mend();
    await repair('healed-version');
    await lists();
  });

  it('gives up a damaged checkpoint only where told to, of a microVM that runs too', async () => {
    const { microvmId } = running.vm;
    const directory = at('microvms', microvmId, 'checkpoints', checkpointId);
    await flipByte(path.join(directory, 'difference/memory'));
    await lists(['damaged-checkpoint', `${microvmId} moment`]);
    assert.deepEqual(await repair('microvm-files', 'damaged-microvm'), ['damaged-checkpoint kept']);
    await access(directory);
    assert.deepEqual(await repair('damaged-checkpoint'), ['damaged-checkpoint repaired']);
    await assert.rejects(access(directory), { code: 'ENOENT' });
    await lists();
  });

  it('gives up a sleeping microVM only where told to', async () => {
    const { microvmId } = broken.vm;
    await truncate(at('microvms', microvmId, 'difference/memory'), 100);
    await lists(['damaged-microvm', microvmId]);
    assert.deepEqual(await repair('microvm-files', 'version-files'), ['damaged-microvm kept']);
    await access(at('microvms', microvmId));
    await repair('damaged-microvm');
    await assert.rejects(access(at('microvms', microvmId)), { code: 'ENOENT' });
    await lists();
  });

  it('says of a damaged store no more than that, and touches nothing for it', async () => {
    const file = at('dormouse.sqlite');
    await cp(file, at('kept.sqlite'));
    await writeFile(file, 'no database');
    const [only, ...others] = await found();
    assert.deepEqual([only?.kind, only?.repair, others], ['database', undefined, []]);
    assert.deepEqual(await repair(...dataKinds), ['database not-repairable']);
    await cp(at('kept.sqlite'), file);
    await lists();
  });

  it('does not look while a server works on the directory', async () => {
    const unlock = await lockDataDirectory(world.directory);
    assert.equal(await openData(options()), undefined);
    await unlock();
    const data = await openData(options());
    assert.deepEqual(data?.findings, []);
    await assert.rejects(lockDataDirectory(world.directory));
    await data?.close();
  });

  it('leaves everybody else as they were', async () => {
    assert.equal((await world.machines()).length, 1, 'the process of the microVM that runs');
    await world.start();
    for (const { vm } of [broken, killed]) {
      assert.match((await world.get(vm.microvmId)).stateReason ?? '', /unexpectedly/);
    }
    await goesOn(world, running);
    await goesOn(world, sleeping);
    await holdsTogether(world);
  });
});
