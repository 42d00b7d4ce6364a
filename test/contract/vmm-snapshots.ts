import assert from 'node:assert/strict';
import { chmod, cp, mkdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { it } from 'node:test';
import {
  SnapshotCorruptError,
  SnapshotIncompatibleError,
  type SnapshotManifest,
  type Vmm,
  type VmmInstance,
} from '../../src/vmm/vmm.ts';
import { flipByte } from './on-the-host.ts';
import { hit } from './probe-guest/probe-guest.ts';
import type { Subject } from './vmm-contract.ts';

interface Suite {
  /** What there is once the suite runs: a VMM, and a snapshot made by it whose guest has been hit once. */
  readonly given: () => { readonly subject: Subject; readonly vmm: Vmm; readonly snapshot: string };
  /** Makes a directory for a VM. */
  readonly fresh: (label: string) => Promise<string>;
  /** Has a VM ended with the suite. */
  readonly track: (instance: VmmInstance) => VmmInstance;
}

/** The part of the contract that is about snapshots which are not, or were not, what this VMM makes. */
export function snapshotContract({ given, fresh, track }: Suite): void {
  it('refuses snapshots that are damaged or incomplete, and harms nobody else', async () => {
    const { subject, vmm, snapshot } = given();
    const other = path.join(subject.directory, 'other-snapshot');
    const refuses = async (by: Vmm, what: string): Promise<void> => {
      const directory = path.join(subject.directory, 'refused');
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory);
      await assert.rejects(
        by.launch({ directory, snapshot: other }),
        (error: unknown) => error instanceof SnapshotCorruptError && error.message.includes(other),
        what,
      );
    };
    await cp(snapshot, other, { recursive: true });
    const whole = track(await vmm.launch({ directory: await fresh('whole'), snapshot: other }));
    await whole.suspend();
    const another = await subject.another();
    for (const name of new Set([...subject.bulkFiles, ...subject.launchFiles, 'manifest.json'])) {
      const file = path.join(other, name);
      const kept = `${file}.kept`;
      const back = () => rename(kept, file);
      await cp(file, kept);
      await flipByte(file);
      await refuses(vmm, `${name} altered under a server that had found it whole`);
      await refuses(another, `${name} altered before a server that has read nothing`);
      if (subject.launchFiles.includes(name)) {
        const awake = track(await vmm.resume({ directory: whole.directory, snapshot: other }));
        await awake.suspend();
      }
      await truncate(file, Math.floor((await stat(file)).size / 2));
      await refuses(vmm, `${name} cut short`);
      await rm(file);
      await refuses(vmm, `${name} deleted`);
      await back();
    }
    const [memory = '', disk = ''] = subject.bulkFiles.map((name) => path.join(other, name));
    await rename(memory, `${memory}.kept`);
    await cp(disk, memory);
    await refuses(vmm, 'replaced by another file');
    await rename(`${memory}.kept`, memory);
    await vmm.verify(other);
    const awake = track(await vmm.resume({ directory: whole.directory, snapshot: other }));
    assert.equal((await hit(awake)).memory, 2);
    await awake.kill();
    await rm(other, { recursive: true, force: true });
  });

  it('continues what was made with what may differ, and refuses what it cannot continue', async () => {
    const { subject, vmm, snapshot } = given();
    const other = path.join(subject.directory, 'older-snapshot');
    await cp(snapshot, other, { recursive: true });
    const file = path.join(other, 'manifest.json');
    const written = JSON.parse(await readFile(file, 'utf8')) as SnapshotManifest & { seal: string };
    const { seal: _seal, ...content } = written;
    await chmod(file, 0o600);
    const madeWith = async (origin: Partial<SnapshotManifest['origin']>): Promise<void> =>
      await writeFile(file, subject.sealed({ ...content, origin: { ...content.origin, ...origin } }));
    await madeWith(subject.tolerated);
    await vmm.assertUsable(other);
    const vm = track(await vmm.launch({ directory: await fresh('older'), snapshot: other }));
    await vm.suspend();
    await madeWith({ initrdDigest: 'd'.repeat(64) });
    const awake = track(await vmm.resume({ directory: vm.directory, snapshot: other }));
    assert.equal((await hit(awake)).memory, 2);
    await awake.suspend();
    for (const [origin, names] of subject.refused) {
      await madeWith(origin);
      const refused = (error: unknown): boolean =>
        error instanceof SnapshotIncompatibleError && names.test(error.message);
      await assert.rejects(vmm.assertUsable(other), refused);
      await assert.rejects(vmm.resume({ directory: vm.directory, snapshot: other }), refused);
    }
    assert.equal(await vmm.isSuspended(vm.directory), true);
    await rm(other, { recursive: true, force: true });
  });
}
