import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readdir, readFile, realpath, symlink } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { locateAssets } from '../../src/assets.ts';
import { packContext } from '../../src/cli/build-context.ts';
import { unpackArchive } from '../../src/images/archive.ts';
import { BuildFailure } from '../../src/images/build-failure.ts';
import { takeBuildOptions } from '../../src/images/build-options.ts';
import { buildContainerImage } from '../../src/images/container-build.ts';
import { readContainerConfig } from '../../src/images/container-config.ts';
import { ContainerEngine } from '../../src/images/container-engine.ts';
import { limits } from '../../src/model/limits.ts';
import { removeDataDirectory, temporaryDirectory } from '../support/dormouse-server.ts';

/** What test/dockerfiles/NAME/expected.json says of the Dockerfile and its context beside it. */
const expectation = z.strictObject({
  /** Dockerfile in the context; its own when absent. */
  file: z.string().optional(),
  build: z
    .strictObject({
      buildArguments: z.record(z.string(), z.string()).default({}),
      target: z.string().exactOptional(),
    })
    .optional(),
  secrets: z.record(z.string(), z.string()).optional(),
  /** Targets of links in the context, by their names: none of them belongs into a checkout of this program. */
  links: z.record(z.string(), z.string()).optional(),
  /** By path: type, mode and owner, and what the file holds or the link says, as far as given. */
  tree: z.record(z.string(), z.string()).optional(),
  absent: z.array(z.string()).optional(),
  config: z
    .strictObject({
      argv: z.array(z.string()).optional(),
      env: z.record(z.string(), z.string()).optional(),
      exposed: z.array(z.number()).optional(),
      labels: z.record(z.string(), z.string()).optional(),
      user: z.string().optional(),
      workdir: z.string().optional(),
      healthcheck: z.array(z.string()).optional(),
    })
    .optional(),
  /** Expressions for the reason of the failure, and for the log. */
  fails: z.string().optional(),
  log: z.string().optional(),
  /** It cannot be built yet, and fails like this until the builder is one that can: as new as one with here-documents. */
  waits: z
    .strictObject({ for: z.string(), until: z.literal('heredocs').optional(), fails: z.string() })
    .optional(),
});

const corpus = fileURLToPath(new URL('../dockerfiles', import.meta.url));
const signal = new AbortController().signal;
/** Prints what a path of an image is: `stat` and content, as the expectations have it. */
const look = `
container=$(buildah from --pull-never "$@")
trap 'buildah rm "$container" >/dev/null' EXIT
cd "$(buildah mount "$container")"
while IFS= read -r name; do
  if [ -L ".$name" ]; then printf 'link %s' "$(readlink ".$name")"
  elif [ -d ".$name" ]; then stat -c 'directory %a %u:%g' ".$name"
  elif [ -f ".$name" ]; then stat --printf 'file %a %u:%g ' ".$name"; head -c 500 ".$name" | tr -d '\\0'
  else printf absent
  fi
  printf '\\0'
done <<'NAMES'
`;

interface Built {
  readonly id: string | undefined;
  readonly failure: string | undefined;
  readonly log: string;
}

describe('the corpus of Dockerfiles', { timeout: 600_000 }, () => {
  let directory: string;
  let engine: ContainerEngine;
  let knowsHeredocs: boolean;

  before(async () => {
    directory = await realpath(await temporaryDirectory());
    engine = new ContainerEngine({
      directory: path.join(directory, 'engine'),
      baseStorage: locateAssets().containerStorage,
      hostEnvironment: process.env,
      proxyForSteps: false,
      userId: process.getuid?.() ?? 0,
    });
    await engine.prepare();
    knowsHeredocs = await engine.knowsHeredocs(signal);
  });
  after(() => removeDataDirectory(directory));

  /** As `dormouse build` and the server do it, up to the container image. */
  async function build(name: string, expected: z.output<typeof expectation>): Promise<Built> {
    const source = await mkdtemp(path.join(directory, 'source-'));
    await cp(path.join(corpus, name, 'context'), source, { recursive: true });
    for (const [link, target] of Object.entries(expected.links ?? {})) {
      await symlink(target, path.join(source, link));
    }
    const secrets = Object.entries(expected.secrets ?? {}).map(([id, text]) => [id, Buffer.from(text)]);
    const packed = await packContext(source, {
      dockerfile: expected.file === undefined ? undefined : path.join(source, expected.file),
      settings: expected.build ?? {},
      secrets: Object.fromEntries(secrets),
    });
    const scratch = await mkdtemp(path.join(directory, 'build-'));
    const context = path.join(scratch, 'context');
    await mkdir(context);
    let log = '';
    try {
      await unpackArchive(packed.file, context, limits.relaxed, signal);
      const id = await buildContainerImage(engine, {
        context,
        options: await takeBuildOptions(context, scratch),
        contextDigest: name,
        scratch,
        tag: `localhost/corpus-${name}`,
        timeLimitMs: 120_000,
        largestFileBytes: 1024 ** 3,
        signal,
        onOutput: (_source, chunk) => {
          log += chunk.toString();
        },
      });
      return { id, failure: undefined, log };
    } catch (error) {
      if (!(error instanceof BuildFailure)) throw error;
      return { id: undefined, failure: error.message, log };
    } finally {
      await packed.dispose();
    }
  }

  async function treeOf(id: string, names: readonly string[]): Promise<readonly string[]> {
    const script = `${look}${names.join('\n')}\nNAMES\n`;
    const { stdout } = await engine.run(['sh', '-c', script, 'look', ...engine.policy, id], { signal });
    return stdout.split('\0').slice(0, names.length);
  }

  async function assertConfig(id: string, expected: z.output<typeof expectation>): Promise<void> {
    if (expected.config === undefined) return;
    const { env = {}, labels = {}, healthcheck, ...others } = expected.config;
    const config = await readContainerConfig(engine, id, signal);
    for (const [name, value] of Object.entries(others)) {
      assert.deepEqual(config[name as keyof typeof others], value, name);
    }
    for (const [name, value] of Object.entries(env)) assert.equal(config.env[name], value, name);
    for (const [name, value] of Object.entries(labels)) assert.equal(config.labels[name], value, name);
    if (healthcheck !== undefined) assert.deepEqual(config.healthcheck?.argv, healthcheck);
  }

  async function check(name: string): Promise<void> {
    const text = await readFile(path.join(corpus, name, 'expected.json'), 'utf8');
    const expected = expectation.parse(JSON.parse(text));
    const { waits } = expected;
    const waiting = waits !== undefined && !(waits.until === 'heredocs' && knowsHeredocs);
    const { id, failure, log } = await build(name, expected);
    const fails = waiting ? waits.fails : expected.fails;
    if (fails !== undefined) {
      assert.match(failure ?? 'it was built', new RegExp(fails));
      return;
    }
    if (id === undefined) assert.fail(`${failure}\n${log}`);
    if (expected.log !== undefined) assert.match(log, new RegExp(expected.log));
    const { tree = {}, absent = [] } = expected;
    const found = await treeOf(id, [...Object.keys(tree), ...absent]);
    for (const [index, [file, wanted]] of Object.entries(tree).entries()) {
      assert.ok(found[index]?.startsWith(wanted), `${file}: ${found[index]}, not ${wanted}`);
    }
    for (const [index, file] of absent.entries()) {
      assert.equal(found[Object.keys(tree).length + index], 'absent', file);
    }
    await assertConfig(id, expected);
  }

  it('builds as it is expected', async (context) => {
    const names = (await readdir(corpus)).sort();
    assert.ok(names.length > 20);
    for (const name of names) await context.test(name, () => check(name));
  });
});
