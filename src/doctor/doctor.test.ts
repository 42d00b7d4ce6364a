import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type Assets, locateAssets } from '../assets.ts';
import { hostArchitecture, qemuProgram } from '../vmm/probe/host.ts';
import { type Check, type DoctorReport, runDoctor } from './doctor.ts';

describe('doctor', () => {
  let directory: string;
  let assets: Assets;
  const at = (...parts: string[]): string => path.join(directory, ...parts);
  const qemu = qemuProgram(hostArchitecture());

  before(async () => {
    directory = await mkdtemp(path.join(os.tmpdir(), 'dormouse-doctor-'));
    assets = locateAssets(at('build'));
    await mkdir(at('build', 'guest'), { recursive: true });
    await mkdir(at('build', 'bin'));
    await mkdir(at('build', 'containers', 'overlay-images'), { recursive: true });
    await mkdir(at('bin'));
    await writeFile(assets.kernel, 'kernel');
    await writeFile(assets.initrd, 'initrd');
    await writeFile(assets.memoryDifference, 'helper', { mode: 0o755 });
    await writeFile(assets.vmmJail, 'jail', { mode: 0o755 });
    await storeImages('dormouse/debian:12', 'dormouse/python:3.11', 'dormouse/node:24');
    await program(qemu, 'QEMU emulator version 10.0.2 (Debian 1:10.0.2)');
    await program('qemu-img', 'qemu-img version 10.0.2');
    await program('buildah', 'buildah version 1.28.2 (image-spec 1.1.0-rc2)');
    await program('mke2fs', 'mke2fs 1.47.0 (5-Feb-2023)');
  });
  after(() => rm(directory, { recursive: true }));

  async function program(name: string, says: string): Promise<void> {
    await writeFile(at('bin', name), `#!/bin/sh\necho '${says}'\n`);
    await chmod(at('bin', name), 0o755);
  }
  async function storeImages(...images: string[]): Promise<void> {
    const list = images.map((image) => ({ id: image, names: [`localhost/${image}`] }));
    await writeFile(
      path.join(assets.containerStorage, 'overlay-images', 'images.json'),
      JSON.stringify(list),
    );
  }
  const examine = (dataDirectory = at('data', 'not', 'there', 'yet')): Promise<DoctorReport> =>
    runDoctor({
      assets,
      dataDirectory,
      searchPath: at('bin'),
      probe: { qemuPath: at('bin', qemu), kvmDevice: at('no-kvm') },
    });
  function find(report: DoctorReport, name: string): Check {
    const found = report.checks.find((check) => check.name === name);
    assert.ok(found, `no check ${name}`);
    return found;
  }

  it('passes a machine that has everything but KVM, and says what that means', async () => {
    const report = await examine();
    const failed = report.checks.filter(({ ok, required }) => required && !ok);
    assert.deepEqual(failed, []);
    assert.equal(report.ok, true);

    const accelerator = find(report, 'accelerator');
    assert.equal(accelerator.required, false);
    assert.match(accelerator.detail, /^tcg with QEMU 10\.0\.2: there is no .*emulated/);
    assert.match(accelerator.remedy ?? '', /hardware virtualisation/);
    assert.match(find(report, qemu).detail, /^10\.0\.2 \(/);
  });

  it('names a file that the set-up has not made', async () => {
    await rm(assets.initrd);
    const report = await examine();
    await writeFile(assets.initrd, 'initrd');
    assert.equal(report.ok, false);
    const check = find(report, 'guest initrd');
    assert.equal(check.ok, false);
    assert.match(check.detail, /missing/);
    assert.match(check.remedy ?? '', /scripts\/setup/);
  });

  it('names the base images that are missing, and survives a damaged list', async () => {
    await storeImages('dormouse/debian:12');
    const some = find(await examine(), 'base images');
    assert.equal(some.ok, false);
    assert.match(some.detail, /^dormouse\/python:3\.11, dormouse\/node:24 missing/);

    await writeFile(path.join(assets.containerStorage, 'overlay-images', 'images.json'), '[{');
    assert.equal(find(await examine(), 'base images').ok, false);
    await storeImages('dormouse/debian:12', 'dormouse/python:3.11', 'dormouse/node:24');
  });

  it('refuses a QEMU that is too old', async () => {
    await program(qemu, 'QEMU emulator version 7.2.22');
    const report = await examine();
    await program(qemu, 'QEMU emulator version 10.0.2');
    assert.equal(report.ok, false);
    assert.match(find(report, qemu).detail, /7\.2\.22 is too old/);
    assert.match(find(report, 'accelerator').detail, /too old/);
  });

  it('makes nothing where the data directory would be', async () => {
    assert.equal(find(await examine(), 'data directory').ok, true);
    await assert.rejects(rm(at('data')), { code: 'ENOENT' });
  });

  it('refuses a data directory that cannot be one', async () => {
    const check = find(await examine(path.join(assets.kernel, 'data')), 'data directory');
    assert.equal(check.ok, false);
  });
});
