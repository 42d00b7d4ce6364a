import { readFile, realpath, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { isThere } from '../blobs/entries.ts';
import { type BuildFailure, containerBuildFailed, diskFull, platformError } from './build-failure.ts';
import type { BuildOptions } from './build-options.ts';
import { builderComplaint } from './builder-complaint.ts';
import type { CommandOptions } from './command.ts';
import { type ContainerEngine, mostBuildProcesses } from './container-engine.ts';
import { dockerfileError } from './dockerfile/instructions.ts';
import {
  certificatesMount,
  certificatesSecret,
  emptyContext,
  type PreparedDockerfile,
  prepareDockerfile,
} from './dockerfile/prepare.ts';
import { StepTail } from './step-tail.ts';

export interface ContainerBuild {
  /** Unpacked artifact; holds the Dockerfile as a regular file. */
  readonly context: string;
  readonly options: BuildOptions;
  /** Of the artifact: tells one content of the context from another. */
  readonly contextDigest: string;
  /** Private directory for files of this build. */
  readonly scratch: string;
  /** Name the result is kept under, and with it its layers for the next build. */
  readonly tag: string;
  readonly timeLimitMs: number;
  /** No file of the build may grow beyond this. */
  readonly largestFileBytes: number;
  readonly signal: AbortSignal;
  readonly onOutput: NonNullable<CommandOptions['onOutput']>;
}

/** Builds stop when the host's disk has no more than this left. */
const reservedBytes = 1024 ** 3;
const diskCheckMs = 1_000;

/**
 * Builds the Dockerfile with the layers of earlier builds as cache.
 * @returns the image's id
 * @throws {BuildFailure} CONTAINER_BUILD_FAILED, DISK_STORAGE_FULL
 */
export async function buildContainerImage(engine: ContainerEngine, build: ContainerBuild): Promise<string> {
  const idFile = path.join(build.scratch, 'image-id');
  const prepared = await prepare(engine, build);
  const dockerfile = path.join(build.scratch, 'Dockerfile.prepared');
  await writeFile(dockerfile, prepared.text, { mode: 0o600 });
  const steps = new StepTail();
  const limits = new AbortController();
  const timer = setTimeout(() => limits.abort(timeLimitExceeded(build.timeLimitMs)), build.timeLimitMs);
  const stopWatching = watchDisk(build.scratch, (failure) => limits.abort(failure));
  try {
    const { code, stderr } = await engine.runConfined(
      [
        ...[
          'prlimit',
          `--fsize=${build.largestFileBytes}`,
          '--core=0',
          `--nproc=${mostBuildProcesses}`,
          '--',
        ],
        ...['buildah', 'build', ...engine.policy, '--isolation', 'chroot', '--layers', '--force-rm'],
        // The other format has no place for SHELL, HEALTHCHECK and ONBUILD.
        ...['--format', 'docker'],
        ...['--pull=false', '--retry', '1', '--iidfile', idFile, '--tag', build.tag],
        ...['--build-context', `${emptyContext}=${engine.emptyDirectory}`],
        ...engine.stepOptions,
        ...secretsOf(build.options, engine.stepCertificates),
        ...argumentsOf(build.options, prepared),
        ...(await ignoreFileOf(build.options.dockerfile)),
        ...['--file', dockerfile, build.context],
      ],
      { readOnly: [], writable: [build.scratch] },
      {
        variables: prepared.variables,
        signal: AbortSignal.any([build.signal, limits.signal]),
        onOutput: (source, chunk) => {
          steps.write(chunk);
          build.onOutput(source, chunk);
        },
      },
    );
    if (code !== 0) throw explain(stderr, steps, build);
  } finally {
    clearTimeout(timer);
    stopWatching();
  }
  const id = (await readFile(idFile, 'utf8')).trim();
  if (!/^sha256:[0-9a-f]{64}$/.test(id)) throw platformError(new Error('the builder named no image'));
  return id;
}

/** @throws {BuildFailure} CONTAINER_BUILD_FAILED */
async function prepare(engine: ContainerEngine, build: ContainerBuild): Promise<PreparedDockerfile> {
  const { options, context, contextDigest, signal } = build;
  const prepared = prepareDockerfile(await readFile(options.dockerfile, 'utf8'), {
    buildArguments: options.buildArguments ?? {},
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    knowsHeredocs: await engine.knowsHeredocs(signal),
    certificates: engine.stepCertificates !== undefined,
    contextDigest,
  });
  for (const { path: name, line } of prepared.mounted) {
    // What is not there the builder refuses itself.
    const found = await realpath(path.join(context, name)).catch(() => context);
    const inside = path.relative(await realpath(context), found);
    if (inside.startsWith('..')) throw dockerfileError(line, `${name} leads out of the context.`);
  }
  for (const note of prepared.notes) build.onOutput('stdout', Buffer.from(`${note}\n`));
  return prepared;
}

/** Values come from the environment: a command line is for everybody on the host to read. */
function argumentsOf(
  { target, noCache }: BuildOptions,
  { variables }: PreparedDockerfile,
): readonly string[] {
  return [
    ...Object.keys(variables).flatMap((name) => ['--build-arg', name]),
    ...(target === undefined ? [] : ['--target', target.toLowerCase()]),
    ...(noCache === true ? ['--no-cache'] : []),
  ];
}

/** Files that steps see when they ask for them, and that no layer holds. */
function secretsOf({ secrets = {} }: BuildOptions, certificates: string | undefined): readonly string[] {
  const all = certificates === undefined ? secrets : { ...secrets, [certificatesSecret]: certificates };
  return Object.entries(all).flatMap(([id, file]) => ['--secret', `id=${id},src=${file}`]);
}

/** A Dockerfile's own rules go before those of the context. */
async function ignoreFileOf(dockerfile: string): Promise<readonly string[]> {
  const own = `${dockerfile}.dockerignore`;
  return (await isThere(own)) ? ['--ignorefile', own] : [];
}

/** Picks out of the builder's last words what the owner of the Dockerfile can act on. */
function explain(stderr: string, steps: StepTail, { context, scratch }: ContainerBuild): BuildFailure {
  const complaint = builderComplaint(stderr);
  if (/no space left on device/i.test(complaint))
    return diskFull('The disk was full while the image was built.');
  const pull =
    /(?:initializing source|reading manifest \S+ in|pinging container registry) (?:docker:\/\/)?([^\s:"]+(?::[^\s:"/]+)?)/.exec(
      complaint,
    )?.[1];
  if (pull === undefined) {
    // Where this host keeps its builds is nobody's business.
    const said = steps
      .describe()
      ?.replaceAll(context, 'the context')
      .replaceAll(`${scratch}/`, '')
      .replaceAll(`--mount=${certificatesMount} `, '');
    return containerBuildFailed(said);
  }
  const unreachable =
    /no such host|connection refused|timeout|network is unreachable|TLS handshake|dial tcp/i;
  return unreachable.test(complaint)
    ? containerBuildFailed(
        `The base image ${pull} is not here and its registry cannot be reached from this host. ` +
          'Images named dormouse/… are always here.',
      )
    : containerBuildFailed(`The base image ${pull} could not be pulled from its registry.`);
}

function timeLimitExceeded(limitMs: number): BuildFailure {
  return containerBuildFailed(`It took longer than ${Math.round(limitMs / 1000)} seconds.`);
}

/** Calls back once when the file system of `directory` is nearly full; returns what ends the watch. */
function watchDisk(directory: string, onFull: (failure: BuildFailure) => void): () => void {
  const check = (): void => {
    statfs(directory).then(
      ({ bavail, bsize }) => {
        if (bavail * bsize < reservedBytes) onFull(diskFull('The host has no disk space left for builds.'));
      },
      () => undefined,
    );
  };
  const timer = setInterval(check, diskCheckMs);
  check();
  return () => clearInterval(timer);
}
