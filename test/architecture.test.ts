/** The rules of docs/architecture.md that a compiler does not hold. */
import assert from 'node:assert/strict';
import { glob, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Rooms from the top down; a room may import from the layers below its own. */
const layers: readonly (readonly string[])[] = [
  ['cli', 'console'],
  ['main'],
  ['api', 'endpoint', 'jobs', 'doctor'],
  ['microvms', 's3', 'events'],
  ['images'],
  ['vmm', 'guest', 'network', 'identity'],
  ['store', 'telemetry'],
  ['blobs', 'datagrams', 'instance-lock', 'config'],
  ['model', 'assets', 'version'],
  ['errors'],
  ['service-error'],
];

/** What the command line may know of the server's inside: how to start it, and what is public of it. */
const openToCommandLine = [
  'src/api/sigv4/sign.ts',
  'src/assets.ts',
  'src/config.ts',
  'src/datagrams/',
  'src/doctor/',
  'src/main.ts',
  'src/telemetry/log-store.ts',
  'src/version.ts',
];

interface Import {
  readonly from: string;
  readonly to: string;
}

async function sources(pattern: string): Promise<readonly string[]> {
  const files = await Array.fromAsync(glob(pattern, { cwd: root, exclude: ['node_modules/**', 'build/**'] }));
  return files.sort();
}

async function importsOf(file: string): Promise<readonly Import[]> {
  const text = await readFile(path.join(root, file), 'utf8');
  const specifiers = text.matchAll(/(?:\bfrom\s+|\bimport\s*\(?\s*)'([^']+)'/g);
  return [...specifiers].map(([, to = '']) => ({ from: file, to }));
}

/** Room of a source file: the directory below `src/`, or the name of the file itself. */
function room(file: string): string {
  return path.relative('src', file).split(/[/.]/)[0] ?? '';
}

function layerOf(name: string): number {
  return layers.findIndex((layer) => layer.includes(name));
}

/** Path of an imported source file; undefined for packages and for files outside `src/`. */
function targetOf({ from, to }: Import): string | undefined {
  const target = path.join(path.dirname(from), to);
  return to.startsWith('.') && target.startsWith('src/') ? target : undefined;
}

function isUpward(imported: Import): boolean {
  const target = targetOf(imported);
  if (target === undefined) return false;
  const [source, destination] = [room(imported.from), room(target)];
  if (source === destination) return false;
  return layerOf(destination) <= layerOf(source);
}

test('every file of src belongs to a room', async () => {
  const unknown = (await sources('src/**/*.ts')).filter((file) => layerOf(room(file)) === -1);
  assert.deepEqual(unknown, []);
});

test('imports point down', async () => {
  const files = (await sources('src/**/*.ts')).filter((file) => !file.endsWith('.test.ts'));
  const upward = (await Promise.all(files.map(importsOf))).flat().filter(isUpward);
  assert.deepEqual(
    upward.map(({ from, to }) => `${from} imports ${to}`),
    [],
  );
});

test('the rule sees an import that points up', () => {
  assert.ok(isUpward({ from: 'src/model/clock.ts', to: '../store/database.ts' }));
  assert.ok(isUpward({ from: 'src/images/build.ts', to: '../microvms/service.ts' }));
  assert.ok(!isUpward({ from: 'src/api/router.ts', to: '../model/clock.ts' }));
  assert.ok(!isUpward({ from: 'src/model/clock.ts', to: 'node:fs' }));
});

test('the command line reaches a server only through its API', async () => {
  const files = (await sources('src/cli/**/*.ts')).filter((file) => !file.endsWith('.test.ts'));
  const inner = (await Promise.all(files.map(importsOf))).flat().filter((imported) => {
    const target = targetOf(imported);
    if (target === undefined || target.startsWith('src/cli/')) return false;
    return !openToCommandLine.some((open) => target.startsWith(open));
  });
  assert.deepEqual(inner, []);
});

test('no file is longer than 400 lines', async () => {
  const files = (
    await Promise.all(
      ['src', 'test', 'bench', 'scripts'].map((directory) => sources(`${directory}/**/*.{ts,c,h}`)),
    )
  ).flat();
  const long: string[] = [];
  for (const file of files) {
    const lines = (await readFile(path.join(root, file), 'utf8')).split('\n').length - 1;
    if (lines > 400) long.push(`${file}: ${lines}`);
  }
  assert.deepEqual(long, []);
});

test('no escape from the type checker, and no note to finish later', async () => {
  const patterns = [/@ts-(ignore|expect-error|nocheck)/, /\b(TODO|FIXME|XXX)\b/];
  const self = path.join('test', 'architecture.test.ts');
  const files = (
    await Promise.all(['src', 'test', 'bench', 'scripts'].map((d) => sources(`${d}/**/*.ts`)))
  ).flat();
  const found: string[] = [];
  for (const file of files.filter((name) => name !== self)) {
    const text = await readFile(path.join(root, file), 'utf8');
    if (patterns.some((pattern) => pattern.test(text))) found.push(file);
  }
  assert.deepEqual(found, []);
});
