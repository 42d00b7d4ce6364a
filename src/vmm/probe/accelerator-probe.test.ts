import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Assets, locateAssets } from '../../assets.ts';
import { VmmError } from '../vmm.ts';
import { probeAccelerator } from './accelerator-probe.ts';

describe('accelerator probe', () => {
  let directory: string;
  let assets: Assets;
  const at = (name: string): string => path.join(directory, name);

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-probe-'));
    assets = { ...locateAssets(directory), kernel: at('kernel'), initrd: at('initrd') };
    await Promise.all([writeFile(at('kernel'), 'k'), writeFile(at('initrd'), 'i'), writeFile(at('kvm'), '')]);
  });
  after(() => rm(directory, { recursive: true }));

  /** A program that stands for QEMU: answers --version, notes each boot, then does what `boot` says. */
  async function fakeQemu(boot: string, version = '10.0.2'): Promise<string> {
    const file = path.join(await mkdtemp(at('qemu-')), 'qemu');
    const script = `#!/bin/sh
if [ "$1" = --version ]; then echo "QEMU emulator version ${version}"; exit; fi
echo "$*" >> ${file}.boots
${boot}
`;
    await writeFile(file, script, { mode: 0o755 });
    return file;
  }
  const boots = async (qemu: string): Promise<string[]> =>
    (await readFile(`${qemu}.boots`, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '');
  const probe = (qemuPath: string, options: { cacheFile?: string; timeoutMs?: number } = {}) =>
    probeAccelerator(assets, { qemuPath, kvmDevice: at('kvm'), ...options });

  it('chooses KVM when a guest announces itself', async () => {
    const qemu = await fakeQemu('echo "boot noise"; echo dormouse-probe-ok; exec sleep 60');
    const found = await probe(qemu);
    assert.deepEqual(found, {
      accelerator: 'kvm',
      reason: 'a guest booted under KVM',
      qemuVersion: '10.0.2',
      qemuPath: qemu,
    });
    const [line = ''] = await boots(qemu);
    assert.match(line, /-accel kvm/);
    assert.match(line, /dormouse\.probe=1/);
  });

  it('falls back at once when KVM cannot run the guest, with the error as the reason', async () => {
    const qemu = await fakeQemu('echo "KVM internal error. Suberror: 1" >&2; exec sleep 60');
    const found = await probe(qemu, { timeoutMs: 30_000 });
    assert.equal(found.accelerator, 'tcg');
    assert.match(found.reason, /KVM internal error\. Suberror: 1$/);
  });

  it('gives the last words of a QEMU that ends by itself, warnings aside', async () => {
    const qemu = await fakeQemu('echo "failed to initialize kvm" >&2; echo "qemu: warning: x" >&2; exit 1');
    const { accelerator, reason } = await probe(qemu);
    assert.equal(accelerator, 'tcg');
    assert.match(reason, /exited with status 1: failed to initialize kvm$/);
  });

  it('does not wait longer than the timeout for a silent guest', async () => {
    const { accelerator, reason } = await probe(await fakeQemu('exec sleep 60'), { timeoutMs: 200 });
    assert.equal(accelerator, 'tcg');
    assert.match(reason, /did not boot within 0\.2 s/);
  });

  it('boots once per QEMU, kernel and initrd', async () => {
    const cacheFile = at('cache/accelerator.json');
    const qemu = await fakeQemu('echo dormouse-probe-ok');
    await probe(qemu, { cacheFile });
    assert.equal((await probe(qemu, { cacheFile })).accelerator, 'kvm');
    assert.equal((await boots(qemu)).length, 1);

    await writeFile(at('initrd'), 'another');
    await probe(qemu, { cacheFile });
    assert.equal((await boots(qemu)).length, 2);
  });

  it('boots again when the cache is damaged', async () => {
    const cacheFile = at('damaged.json');
    await writeFile(cacheFile, '{"key":');
    const qemu = await fakeQemu('echo dormouse-probe-ok');
    assert.equal((await probe(qemu, { cacheFile })).accelerator, 'kvm');
  });

  it('tries no guest without a KVM device', async () => {
    const qemu = await fakeQemu('echo dormouse-probe-ok');
    const found = await probeAccelerator(assets, { qemuPath: qemu, kvmDevice: at('absent') });
    assert.equal(found.accelerator, 'tcg');
    assert.match(found.reason, /there is no .*absent/);
    assert.deepEqual(await boots(qemu), []);
  });

  it('refuses a QEMU that is too old', async () => {
    const qemu = await fakeQemu('exit 0', '7.2.22');
    await assert.rejects(probe(qemu), VmmError);
  });
});
