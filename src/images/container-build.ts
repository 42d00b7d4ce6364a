import { readFile, statfs } from 'node:fs/promises';
import path from 'node:path';
import { type BuildFailure, containerBuildFailed, diskFull, platformError } from './build-failure.ts';
import type { BuildOptions } from './build-options.ts';
import type { CommandOptions } from './command.ts';
import type { ContainerEngine } from './container-engine.ts';
import { StepTail } from './step-tail.ts';

export interface ContainerBuild {
  /** Unpacked artifact; holds the Dockerfile as a regular file. */
  readonly context: string;
  readonly options: BuildOptions;
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
/** Of an ordinary user; root's builds are limited by their control group. */
const processes = 4_096;
const diskCheckMs = 1_000;

/**
 * Builds the Dockerfile with the layers of earlier builds as cache.
 * @returns the image's id
 * @throws {BuildFailure} CONTAINER_BUILD_FAILED, DISK_STORAGE_FULL
 */
export async function buildContainerImage(engine: ContainerEngine, build: ContainerBuild): Promise<string> {
  const idFile = path.join(build.scratch, 'image-id');
  const steps = new StepTail();
  const limits = new AbortController();
  const timer = setTimeout(() => limits.abort(timeLimitExceeded(build.timeLimitMs)), build.timeLimitMs);
  const stopWatching = watchDisk(build.scratch, (failure) => limits.abort(failure));
  try {
    const { code, stderr } = await engine.runConfined(
      [
        ...['prlimit', `--fsize=${build.largestFileBytes}`, '--core=0', `--nproc=${processes}`, '--'],
        ...['buildah', 'build', ...engine.policy, '--isolation', 'chroot', '--layers', '--force-rm'],
        // The other format has no place for SHELL, HEALTHCHECK and ONBUILD.
        ...['--format', 'docker'],
        ...['--pull=false', '--retry', '1', '--iidfile', idFile, '--tag', build.tag],
        ...argumentsOf(build.options),
        ...['--file', build.options.dockerfile, build.context],
      ],
      { readOnly: [], writable: [build.scratch] },
      {
        signal: AbortSignal.any([build.signal, limits.signal]),
        onOutput: (source, chunk) => {
          steps.write(chunk);
          build.onOutput(source, chunk);
        },
      },
    );
    if (code !== 0) throw explain(stderr, steps);
  } finally {
    clearTimeout(timer);
    stopWatching();
  }
  const id = (await readFile(idFile, 'utf8')).trim();
  if (!/^sha256:[0-9a-f]{64}$/.test(id)) throw platformError(new Error('the builder named no image'));
  return id;
}

function argumentsOf({ buildArguments = {}, target, noCache }: BuildOptions): readonly string[] {
  return [
    ...Object.entries(buildArguments).flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]),
    ...(target === undefined ? [] : ['--target', target]),
    ...(noCache === true ? ['--no-cache'] : []),
  ];
}

/** Picks out of the builder's last words what the owner of the Dockerfile can act on. */
function explain(stderr: string, steps: StepTail): BuildFailure {
  if (/no space left on device/i.test(stderr))
    return diskFull('The disk was full while the image was built.');
  const pull =
    /(?:initializing source|reading manifest \S+ in|pinging container registry) (?:docker:\/\/)?([^\s:"]+(?::[^\s:"/]+)?)/.exec(
      stderr,
    )?.[1];
  if (pull === undefined) return containerBuildFailed(steps.describe());
  const unreachable =
    /no such host|connection refused|timeout|network is unreachable|TLS handshake|dial tcp/i;
  return unreachable.test(stderr)
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
