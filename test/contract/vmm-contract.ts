import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import {
  DifferenceCorruptError,
  SnapshotCorruptError,
  type SnapshotManifest,
  type SnapshotOrigin,
  type Vmm,
  type VmmInstance,
} from '../../src/vmm/vmm.ts';
import { flipByte, processesIn } from './on-the-host.ts';
import { hit, powerOff, settledRandom } from './probe-guest/probe-guest.ts';
import { snapshotContract } from './vmm-snapshots.ts';

/** One way to run VMs, as the contract suite needs it. */
export interface Subject {
  readonly vmm: Vmm;
  readonly rootDisk: string;
  /** Existing and empty; removed by the caller. */
  readonly directory: string;
  /** Same VMM, unable to store a difference. */
  readonly unableToSuspend: Vmm;
  /** Launches a VM in a server of its own and kills that server; resolves with the VMM's process id. */
  launchAndDie(directory: string, snapshot: string): Promise<number>;
  /**
   * Takes over the VM in `directory` in a server of its own that lets it sleep and wake, hitting it once each time,
   * and kills that server after some milliseconds; resolves with the answers it got.
   */
  cycleAndDie(directory: string, snapshot: string, afterMs: number): Promise<readonly number[]>;
  /** Same VMM in a server that has just started. */
  another(): Promise<Vmm>;
  /** Text of a manifest that is as if the VMM had written it. */
  sealed(manifest: object): string;
  /** Files in a suspended VM's directory that hold what the suspend stored. */
  readonly differenceFiles: readonly string[];
  /** The snapshot's files that are read once, and those that only a launch needs. */
  readonly bulkFiles: readonly string[];
  readonly launchFiles: readonly string[];
  /** What a snapshot may have been made with, and what not, with the words that name it. */
  readonly tolerated: Partial<SnapshotOrigin>;
  readonly refused: readonly (readonly [Partial<SnapshotOrigin>, RegExp])[];
}

/** All together; on a machine that is itself emulated (scripts/emulated-kvm) this takes 6 minutes. */
const suiteTimeoutMs = 600_000;

/** @param prepare makes the subject; called once, before the suite */
export function vmmContract(name: string, prepare: () => Promise<Subject>): void {
  describe(`VMM contract: ${name}`, { timeout: suiteTimeoutMs }, () => {
    let subject: Subject;
    let vmm: Vmm;
    let snapshot: string;
    let manifest: SnapshotManifest;
    let identity: string;
    const running = new Set<VmmInstance>();

    async function fresh(label: string): Promise<string> {
      const directory = path.join(subject.directory, label);
      await mkdir(directory);
      return directory;
    }
    function track(instance: VmmInstance): VmmInstance {
      running.add(instance);
      return instance;
    }
    async function launch(label: string, by = vmm): Promise<VmmInstance> {
      return track(await by.launch({ directory: await fresh(label), snapshot }));
    }
    async function resume(directory: string): Promise<VmmInstance> {
      return track(await vmm.resume({ directory, snapshot }));
    }

    before(async () => {
      subject = await prepare();
      vmm = subject.vmm;
      snapshot = path.join(subject.directory, 'snapshot');
      const directory = await fresh('build');
      const shape = { memoryMib: 192, vcpus: 1 };
      const instance = track(await vmm.boot({ directory, rootDisk: subject.rootDisk, shape }));
      const answer = await hit(instance);
      assert.deepEqual([answer.memory, answer.disk], [1, 1]);
      identity = answer.identity;
      manifest = await instance.snapshot(snapshot);
      await instance.exited;
    });

    after(async () => {
      for (const instance of running) await instance.kill();
    });

    it('makes a whole, read-only snapshot and ends the build VM', async () => {
      const written: unknown = JSON.parse(await readFile(path.join(snapshot, 'manifest.json'), 'utf8'));
      assert.ok(written !== null && typeof written === 'object' && 'id' in written);
      assert.equal(written.id, manifest.id);
      assert.deepEqual(manifest.origin, vmm.origin);
      assert.deepEqual(manifest.shape, { memoryMib: 192, vcpus: 1 });
      for (const file of await readdir(snapshot)) {
        assert.equal((await stat(path.join(snapshot, file))).mode & 0o222, 0, file);
      }
      assert.deepEqual(await processesIn(subject.directory), []);
      assert.deepEqual(
        (await readdir(subject.directory)).filter((entry) => entry.includes('partial')),
        [],
      );
      await vmm.verify(snapshot);
    });

    it('launches independent VMs that draw different random numbers', async () => {
      const vms = [await launch('one'), await launch('two'), await launch('three')];
      const first = await Promise.all(vms.map((vm) => hit(vm)));
      assert.deepEqual(
        first.map(({ memory, disk }) => [memory, disk]),
        [
          [2, 2],
          [2, 2],
          [2, 2],
        ],
      );
      assert.deepEqual(new Set(first.map((answer) => answer.identity)), new Set([identity]));
      const [one, two] = vms;
      assert.ok(one && two);
      assert.equal((await hit(one)).memory, 3);
      assert.equal((await hit(one)).disk, 4);
      assert.deepEqual(await hit(two).then(({ memory, disk }) => [memory, disk]), [3, 3]);
      await hit(two);
      assert.notEqual(await settledRandom(one), await settledRandom(two));
      const usage = await one.usage();
      assert.ok(usage.residentBytes > usage.proportionalBytes && usage.proportionalBytes > 0);
      assert.ok(usage.cpuSeconds > 0);
      await Promise.all(vms.map((vm) => vm.kill()));
      assert.deepEqual(await processesIn(subject.directory), []);
    });

    it('keeps memory and disk over suspend and resume, and does not grow with the cycles', async () => {
      let vm = await launch('cycles');
      const { directory } = vm;
      await hit(vm, 'w');
      const stored: number[] = [];
      for (let cycle = 0; cycle < 4; cycle++) {
        const { memoryBytes, deviceStateBytes } = await vm.suspend();
        stored.push(memoryBytes + deviceStateBytes);
        await vm.exited;
        assert.deepEqual(await processesIn(directory), []);
        assert.equal(await vmm.isSuspended(directory), true);
        assert.equal(await vmm.isAtRest(directory), true);
        vm = await resume(directory);
        assert.equal(await vmm.isSuspended(directory), false);
        assert.equal(await vmm.isAtRest(directory), false);
        const answer = await hit(vm, 'w');
        assert.deepEqual([answer.memory, answer.disk, answer.identity], [3 + cycle, 3 + cycle, identity]);
      }
      const [first = 0] = stored;
      assert.ok(first > 4 << 20, `the rewritten 4 MiB are in it: ${stored}`);
      assert.ok(Math.max(...stored) < first * 1.25, `grows with the cycles: ${stored}`);
      await vm.kill();
    });

    it('goes back to what was stored, running or asleep, as often as wanted', async () => {
      const vm = await launch('back');
      const { directory } = vm;
      assert.equal((await hit(vm)).memory, 2);
      const running = await fresh('back-running');
      await vm.fork([running]);
      await vm.suspend();
      const asleep = await fresh('back-asleep');
      await vmm.copySuspended(directory, asleep);
      let again = await resume(directory);
      assert.equal((await hit(again)).memory, 3);
      for (const checkpoint of [running, asleep, running]) {
        await hit(again);
        await vmm.rollBack(directory, checkpoint);
        await again.exited;
        await vmm.finishRollBack(directory);
        assert.deepEqual(await processesIn(directory), []);
        assert.equal(await vmm.isSuspended(directory), true);
        again = await resume(directory);
        const answer = await hit(again);
        assert.deepEqual([answer.memory, answer.disk, answer.identity], [3, 3, identity]);
      }
      await again.suspend();
      await vmm.rollBack(directory, asleep);
      // As the next server does that finds it.
      assert.equal(await vmm.adopt(directory), undefined);
      again = await resume(directory);
      assert.equal((await hit(again)).memory, 3);
      await assert.rejects(vmm.rollBack(directory, subject.directory));
      assert.equal((await hit(again)).memory, 4, 'nothing to go back to: the VM goes on');
      await again.kill();
    });

    it('makes snapshots of VMs that live on without those they came from', async () => {
      const vm = await launch('origin');
      assert.equal((await hit(vm, 'w')).memory, 2);
      const kept = await fresh('origin-kept');
      await vm.fork([kept]);
      await vm.kill();
      const base = path.join(subject.directory, 'base-copy');
      await cp(snapshot, base, { recursive: true });
      const derived = path.join(subject.directory, 'derived');
      const described = await vmm.snapshotSuspended(kept, base, derived);
      assert.ok(described.memoryBytes > manifest.memoryBytes);
      await assert.rejects(vmm.snapshotSuspended(await fresh('nothing'), base, `${derived}-2`));
      await rm(base, { recursive: true });
      await rm(kept, { recursive: true });
      const launchDerived = async (label: string, from: string): Promise<VmmInstance> =>
        track(await vmm.launch({ directory: await fresh(label), snapshot: from }));
      const [one, two] = [
        await launchDerived('derived-1', derived),
        await launchDerived('derived-2', derived),
      ];
      for (const instance of [one, two]) {
        const answer = await hit(instance);
        assert.deepEqual([answer.memory, answer.disk, answer.identity], [3, 3, identity]);
      }
      assert.notEqual(await settledRandom(one), await settledRandom(two));
      await two.kill();
      const { memory } = await hit(one);
      await one.suspend();
      const again = track(await vmm.resume({ directory: one.directory, snapshot: derived }));
      assert.equal((await hit(again)).memory, memory + 1);
      await again.suspend();
      const second = path.join(subject.directory, 'derived-again');
      await vmm.snapshotSuspended(one.directory, derived, second);
      const third = await launchDerived('derived-3', second);
      assert.equal((await hit(third)).memory, memory + 2);
      await third.kill();
      assert.deepEqual(
        (await readdir(subject.directory)).filter((entry) => entry.includes('partial')),
        [],
      );
    });

    it('draws new random numbers each time one suspended state is resumed', async () => {
      const vm = await launch('repeat');
      await vm.suspend();
      const copy = path.join(subject.directory, 'repeat-copy');
      await cp(vm.directory, copy, { recursive: true });
      const answers = [];
      for (const directory of [vm.directory, copy]) {
        const again = await resume(directory);
        answers.push(await settledRandom(again));
        await again.kill();
      }
      assert.equal(answers.length, 2);
      assert.notEqual(answers[0], answers[1]);
    });

    it('leaves virtual CPUs stopped on request, and such a VM can sleep again unchanged', async () => {
      const directory = await fresh('paused');
      const vm = track(await vmm.launch({ directory, snapshot, paused: true }));
      const answer = hit(vm);
      await vm.unpause();
      assert.equal((await answer).memory, 2);
      await vm.pause();
      await vm.pause();
      const stats = await vm.suspend();
      const asleep = track(await vmm.resume({ directory, snapshot, paused: true }));
      assert.equal(await vmm.isSuspended(directory), true);
      assert.deepEqual(await asleep.suspend(), stats);
      const awake = await resume(directory);
      assert.equal((await hit(awake)).memory, 3);
      await awake.kill();
    });

    it('adopts a VM whose server was killed', async () => {
      const directory = await fresh('orphan');
      const pid = await subject.launchAndDie(directory, snapshot);
      const adopted = await vmm.adopt(directory);
      assert.ok(adopted);
      track(adopted);
      assert.equal(adopted.pid, pid);
      assert.equal((await hit(adopted)).memory, 2);
      await adopted.suspend();
      assert.match((await adopted.exited).reason, /./);
      const again = await resume(directory);
      assert.equal((await hit(again)).memory, 3);
      await again.kill();
      assert.equal(await vmm.adopt(directory), undefined);
    });

    it('loses nothing when its server is killed anywhere in suspend and resume', async () => {
      const vm = await launch('killed');
      const { directory } = vm;
      await vm.suspend();
      let known = 1;
      for (const afterMs of [0, 35, 70, 105, 140, 175, 210, 245]) {
        const counts = await subject.cycleAndDie(directory, snapshot, afterMs);
        for (const count of counts) assert.ok(count > known, `${count} after ${known}`);
        known = counts.at(-1) ?? known;
      }
      const last = track((await vmm.adopt(directory)) ?? (await resume(directory)));
      await last.unpause();
      const { memory, disk } = await hit(last);
      assert.equal(memory, disk);
      assert.ok(memory > known);
      await last.kill();
      assert.deepEqual(await processesIn(directory), []);
    });

    it('ends the process of a suspend that was committed but not finished', async () => {
      const vm = await launch('committed');
      const { directory } = vm;
      await hit(vm);
      await vm.suspend();
      const unfinished = track(await vmm.resume({ directory, snapshot, paused: true }));
      assert.equal(await vmm.isAtRest(directory), false);
      assert.equal(await vmm.adopt(directory), undefined);
      await unfinished.exited;
      assert.equal(await vmm.isSuspended(directory), true);
      assert.equal(await vmm.isAtRest(directory), true);
      const awake = await resume(directory);
      assert.equal((await hit(awake)).memory, 3);
      await awake.kill();
    });

    it('never restores memory older than the disk', async () => {
      const vm = await launch('stale');
      await vm.suspend();
      const awake = await resume(vm.directory);
      await hit(awake);
      await awake.kill();
      assert.equal(await vmm.isSuspended(vm.directory), false);
      await assert.rejects(resume(vm.directory), SnapshotCorruptError);
    });

    it('leaves the VM paused and whole when it cannot be suspended', async () => {
      const vm = await launch('unable', subject.unableToSuspend);
      await hit(vm);
      const before = (await readdir(vm.directory)).sort();
      await assert.rejects(vm.suspend());
      assert.deepEqual((await readdir(vm.directory)).sort(), before);
      assert.equal(await vmm.isSuspended(vm.directory), false);
      await vm.unpause();
      assert.equal((await hit(vm)).memory, 3);
      await vm.kill();
    });

    it('refuses a damaged or shortened difference and stays suspended', async () => {
      const vm = await launch('damaged');
      const { directory } = vm;
      await hit(vm, 'w');
      await vm.suspend();
      for (const name of subject.differenceFiles) {
        const file = path.join(directory, name);
        const whole = await readFile(file);
        await flipByte(file);
        await assert.rejects(resume(directory), DifferenceCorruptError, `${name} altered`);
        await writeFile(file, whole);
        await truncate(file, whole.length - 1);
        await assert.rejects(resume(directory), DifferenceCorruptError, `${name} cut short`);
        await writeFile(file, whole);
        assert.equal(await vmm.isSuspended(directory), true);
      }
      assert.deepEqual(await processesIn(directory), []);
      const awake = await resume(directory);
      assert.equal((await hit(awake)).memory, 3);
      await awake.kill();
    });

    snapshotContract({
      given: () => ({ subject, vmm, snapshot }),
      fresh,
      track,
    });

    it('tells when the guest powers off, and kill may be called any number of times', async () => {
      const vm = await launch('off');
      await powerOff(vm);
      assert.match((await vm.exited).reason, /exited/);
      await Promise.all([vm.kill(), vm.kill()]);
      await vm.kill();
      await assert.rejects(vm.connectAgent());
    });

    it('leaves no process behind', async () => {
      assert.deepEqual(await processesIn(subject.directory), []);
    });
  });
}
