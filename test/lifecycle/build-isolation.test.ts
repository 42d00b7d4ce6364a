import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, realpath, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { locateAssets } from '../../src/assets.ts';
import { buildContainerImage } from '../../src/images/container-build.ts';
import { readContainerConfig } from '../../src/images/container-config.ts';
import type { ContainerEngine } from '../../src/images/container-engine.ts';
import { ContainerEngines } from '../../src/images/container-engines.ts';
import { removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';

const signal = new AbortController().signal;
const base = 'FROM dormouse/debian:12\n';
const certificate = '-----BEGIN CERTIFICATE-----\nof the proxy\n-----END CERTIFICATE-----\n';

describe('builds of two images', { timeout: 300_000 }, () => {
  let directory: string;
  let engines: ContainerEngines;
  const [one, other] = [randomUUID(), randomUUID()];

  async function open(extra: { readonly extraCertificates?: string; readonly proxyForSteps?: boolean } = {}) {
    const opened = new ContainerEngines({
      directory: path.join(directory, 'engines'),
      baseStorage: locateAssets().containerStorage,
      hostEnvironment: { ...process.env, HTTP_PROXY: 'http://proxy.test:1' },
      proxyForSteps: false,
      userId: process.getuid?.() ?? 0,
      ...extra,
    });
    await opened.prepare();
    return opened;
  }

  before(async () => {
    directory = await realpath(await temporaryDirectory());
    engines = await open();
  });
  after(() => removeDataDirectory(directory));

  /** Builds a Dockerfile as one image's; the id of what came of it, and what was said. */
  async function build(engine: ContainerEngine, dockerfile: string, content: string) {
    const scratch = await mkdtemp(path.join(directory, 'build-'));
    const context = path.join(scratch, 'context');
    await mkdir(context);
    await writeFile(path.join(context, 'file'), content);
    await writeFile(path.join(context, 'Dockerfile'), dockerfile);
    let log = '';
    const id = await buildContainerImage(engine, {
      context,
      options: { dockerfile: path.join(context, 'Dockerfile') },
      contextDigest: content,
      scratch,
      tag: 'localhost/dormouse-image:latest',
      timeLimitMs: 120_000,
      largestFileBytes: 1024 ** 3,
      signal,
      onOutput: (_source, chunk) => {
        log += chunk.toString();
      },
    });
    return { id, log };
  }

  test('see nothing of one another in caches, by ids, or by names', async () => {
    const cache = 'RUN --mount=type=cache,target=/cache';
    const mine = await engines.of(one, signal);
    const first = await build(mine, `${base}${cache} echo poison >/cache/f\n`, 'one');
    await build(mine, `${base}${cache} test -e /cache/f\n`, 'one');
    const theirs = await engines.of(other, signal);
    await build(theirs, `${base}${cache} test ! -e /cache/f\n`, 'other');
    const byId = ['buildah', 'inspect', '--type', 'image', first.id];
    assert.equal((await mine.run(byId, { signal })).code, 0);
    assert.notEqual((await theirs.run(byId, { signal })).code, 0);
  });

  test('take no cached step for another whose mounted files differ, of one image either', async () => {
    const dockerfile = `${base}RUN --mount=target=/src cp /src/file /copy\nRUN echo "copied: $(cat /copy)"\n`;
    const engine = await engines.of(one, signal);
    assert.match((await build(engine, dockerfile, 'first')).log, /^copied: first$/m);
    assert.match((await build(engine, dockerfile, 'second')).log, /^copied: second$/m);
  });

  test('cannot change how their engine is set up', async () => {
    const engine = await engines.of(one, signal);
    const settings = path.join(directory, 'engines', `image-${one}`, 'settings');
    const names = await readdir(settings);
    assert.ok(names.includes('containers.conf') && names.includes('policy.json'));
    const script = `cd ${settings} && for name in *; do echo >>"$name" && echo "wrote $name"; done; true`;
    const paths = { readOnly: [], writable: [] };
    const { stdout } = await engine.runConfined(['sh', '-c', script], paths, { signal });
    assert.equal(stdout, '');
  });

  test('cannot change the programs that the builder runs, even if it mounts them for a step', async () => {
    const engine = await engines.of(one, signal);
    const script = `mkdir /tmp/seen
for name in / /usr; do
  mount --bind "$name" /tmp/seen && mount -o remount,bind,rw /tmp/seen
  touch /tmp/seen/dormouse-was-here && echo "wrote to $name"
  umount /tmp/seen
done; true`;
    const paths = { readOnly: [], writable: [] };
    const { stdout, stderr } = await engine.runConfined(['sh', '-c', script], paths, { signal });
    assert.equal(stdout, '');
    assert.match(stderr, /Read-only file system|not permitted/);
  });

  test('have the certificates and the proxy of the host where that is asked for, and leave them behind', async () => {
    const file = path.join(directory, 'proxy.pem');
    await writeFile(file, certificate);
    const seen = `${base}RUN tail -n 3 "$SSL_CERT_FILE"; echo "proxy: $HTTP_PROXY"\nRUN env >/environment\n`;
    const without = await build(await engines.of(one, signal), seen, 'one');
    assert.match(without.log, /^proxy: $/m);
    const trusting = await open({ extraCertificates: file, proxyForSteps: true });
    const engine = await trusting.of(one, signal);
    const { id, log } = await build(engine, seen, 'one');
    assert.match(log, /^of the proxy\n-----END CERTIFICATE-----\nproxy: http:\/\/proxy\.test:1$/m);
    const { env } = await readContainerConfig(engine, id, signal);
    assert.ok(!Object.keys(env).some((name) => /CERT|PROXY/i.test(name)));
    await writeFile(file, 'no certificate');
    await assert.rejects(open({ extraCertificates: file }), /holds no certificate/);
  });

  test('leave nothing when their image goes', async () => {
    await engines.forget(one);
    assert.deepEqual((await readdir(path.join(directory, 'engines'))).sort(), [`image-${other}`, 'keeper']);
  });
});
