/**
 * Installs what is installed most from PyPI, npm and Debian in each of the base images, as steps of a build:
 *
 *   node scripts/try-bases.ts [--ca FILE] [IMAGE…]
 *
 * Needs those registries. Prints what could not be installed, and fails if something could not.
 */
import { mkdir, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { locateAssets } from '../src/assets.ts';
import { buildContainerImage } from '../src/images/container-build.ts';
import { ContainerEngine } from '../src/images/container-engine.ts';

const debian = [
  ...['curl', 'wget', 'git', 'gnupg', 'build-essential', 'openssh-client', 'procps', 'sudo', 'unzip', 'jq'],
  ...['rsync', 'sqlite3', 'libpq-dev', 'postgresql-client', 'nginx', 'locales', 'tzdata', 'imagemagick'],
  ...['default-jre-headless', 'openjdk-17-jdk-headless'],
];
const python = [
  ...['boto3', 'urllib3', 'botocore', 'requests', 'certifi', 'setuptools', 'idna', 'charset-normalizer'],
  ...['packaging', 'typing-extensions', 'python-dateutil', 's3transfer', 'numpy', 'six', 'pyyaml', 'fsspec'],
  ...['cryptography', 'pydantic', 'pandas', 'cffi'],
];
const node = [
  ...['semver', 'debug', 'chalk', 'commander', 'tslib', 'glob', 'minimatch', 'lru-cache', 'uuid', 'yargs'],
  ...['lodash', 'express', 'react', 'axios', 'typescript', 'webpack', 'eslint', 'prettier', 'ws', 'esbuild'],
];

const apt = 'apt-get install --yes --no-install-recommends';
const steps: Readonly<Record<string, readonly string[]>> = {
  'dormouse/debian:12': [each(apt, debian)],
  'dormouse/python:3.11': [
    'python3 -m venv /venv && /venv/bin/pip install --quiet six && echo "installed venv"',
    each('pip install --quiet', python),
    each(apt, debian),
  ],
  'dormouse/node:24': [
    each('npm install --silent --no-fund --no-audit --prefix /app', node),
    each(apt, debian),
  ],
};

/** Each by itself, so that all that fail are named. */
function each(install: string, names: readonly string[]): string {
  const before = install === apt ? 'export DEBIAN_FRONTEND=noninteractive; apt-get update >/dev/null; ' : '';
  const loop = `for name in ${names.join(' ')}; do`;
  return `${before}${loop} if ${install} $name >/tmp/log 2>&1; then echo "installed $name"; else echo "FAILED $name"; tail -n 5 /tmp/log; fi; done`;
}

const { values, positionals } = parseArgs({ options: { ca: { type: 'string' } }, allowPositionals: true });
const directory = await realpath(await mkdtemp(path.join(os.tmpdir(), 'dormouse-bases-')));
const engine = new ContainerEngine({
  directory: path.join(directory, 'engine'),
  baseStorage: locateAssets().containerStorage,
  hostEnvironment: process.env,
  extraCertificates: values.ca,
  proxyForSteps: true,
  userId: process.getuid?.() ?? 0,
});
let failed = 0;
try {
  await engine.prepare();
  for (const image of positionals.length > 0 ? positionals : Object.keys(steps))
    failed += await tryImage(image);
} finally {
  await engine.remove(path.join(directory, 'engine'));
  await rm(directory, { recursive: true, force: true });
}
if (failed > 0) process.exitCode = 1;

async function tryImage(image: string): Promise<number> {
  const scratch = await mkdtemp(path.join(directory, 'build-'));
  const context = path.join(scratch, 'context');
  await mkdir(context);
  const dockerfile = path.join(context, 'Dockerfile');
  await writeFile(
    dockerfile,
    [`FROM ${image}`, ...(steps[image] ?? []).map((step) => `RUN ${step}`), ''].join('\n'),
  );
  let output = '';
  await buildContainerImage(engine, {
    context,
    options: { dockerfile },
    contextDigest: image,
    scratch,
    tag: 'localhost/tried',
    timeLimitMs: 3600_000,
    largestFileBytes: 8 * 1024 ** 3,
    signal: new AbortController().signal,
    onOutput: (_source, chunk) => {
      output += chunk.toString();
    },
  });
  const lines = output.split('\n');
  const failures = lines.filter((line) => line.startsWith('FAILED ')).length;
  const installed = lines.filter((line) => line.startsWith('installed ')).length;
  const wanted = lines.filter((line) => !/^(?:STEP|COMMIT|installed|Successfully|-->)/.test(line));
  process.stdout.write(`${image}: ${installed} installed, ${failures} failed\n${wanted.join('\n').trim()}\n`);
  return failures;
}
