import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { locateAssets } from '../../src/assets.ts';
import { buildContainerImage } from '../../src/images/container-build.ts';
import { ContainerEngine } from '../../src/images/container-engine.ts';
import { removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';

interface Attempt {
  readonly attempt: string;
  readonly done: boolean;
  readonly result: unknown;
}

const probe = fileURLToPath(new URL('../support/build-probe.py', import.meta.url));

/** A tar archive that holds one character device: the host's /dev/null under another name. */
function archiveOfDevice(name: string): Buffer {
  const header = Buffer.alloc(512);
  const put = (text: string, at: number): void => void header.write(text, at, 'latin1');
  put(name, 0);
  put('0000666\0', 100);
  for (const at of [108, 116]) put('0000000\0', at);
  for (const at of [124, 136]) put('00000000000\0', at);
  put(' '.repeat(8), 148);
  put('3', 156);
  put('ustar\x0000', 257);
  put('0000001\0', 329);
  put('0000003\0', 337);
  const sum = header.reduce((total, byte) => total + byte, 0);
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, Buffer.alloc(1024)]);
}

describe('what a build step can do to the host', { timeout: 120_000 }, () => {
  const signal = new AbortController().signal;
  const attempts = new Map<string, Attempt>();
  let directory: string;

  before(async () => {
    directory = await realpath(await temporaryDirectory());
    const at = (...names: readonly string[]): string => path.join(directory, ...names);
    await mkdir(at('engine'));
    await mkdir(at('build', 'context'), { recursive: true });
    await writeFile(at('secret'), 'of the host');
    await writeFile(at('build', 'context', 'device.tar'), archiveOfDevice('shipped-device'));
    await copyFile(probe, at('build', 'context', 'probe.py'));
    await writeFile(
      at('build', 'context', 'Dockerfile'),
      `FROM dormouse/python:3.11\nADD device.tar /\nCOPY probe.py /\nENV SECRET=${at('secret')}\nRUN python3 /probe.py\n`,
    );
    const engine = new ContainerEngine({
      directory: at('engine'),
      baseStorage: locateAssets().containerStorage,
      hostEnvironment: process.env,
      proxyForSteps: false,
      userId: process.getuid?.() ?? 0,
    });
    await engine.prepare();
    let output = '';
    await buildContainerImage(engine, {
      context: at('build', 'context'),
      contextDigest: '',
      options: { dockerfile: at('build', 'context', 'Dockerfile') },
      scratch: at('build'),
      tag: 'localhost/confinement',
      timeLimitMs: 60_000,
      largestFileBytes: 1024 ** 3,
      signal,
      onOutput: (_source, chunk) => {
        output += chunk.toString();
      },
    });
    for (const line of output.split('\n').filter((text) => text.startsWith('{'))) {
      const attempt = JSON.parse(line) as Attempt;
      attempts.set(attempt.attempt, attempt);
    }
  });
  after(() => removeDataDirectory(directory));

  for (const name of [
    'read a file of the host',
    'make a block device',
    'make a character device',
    'open a device out of an archive',
    "read the kernel's messages",
    'change roots',
    'mount',
    'make a mount namespace',
    'make a user namespace',
    'name a program for core dumps',
    "look into the builder's root",
    "read the builder's environment",
    'trace the builder',
    'send raw packets',
    'rename the host',
    "see the host's devices in /sys",
  ]) {
    it(`cannot ${name}`, () => {
      assert.equal(attempts.get(name)?.done, false, JSON.stringify(attempts.get(name)));
    });
  }

  it('sees no block device and no other root', () => {
    assert.deepEqual(attempts.get("list the host's block devices")?.result, []);
    assert.deepEqual(attempts.get('find another root')?.result, []);
  });

  it('can start only so many processes, where the host lets us limit them', (context) => {
    const groups = String(attempts.get('name the control groups')?.result);
    if (process.getuid?.() === 0 && !groups.includes('dormouse-builds')) {
      context.diagnostic('control groups cannot be written here: processes are not limited');
      return;
    }
    const started = Number(attempts.get('count processes')?.result);
    assert.ok(started > 0 && started < 6_000, `${started} processes`);
  });

  it('leaves no mount', async () => {
    const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n');
    assert.deepEqual(
      mounts.filter((line) => line.includes(directory)),
      [],
    );
  });
});
