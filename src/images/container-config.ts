import { z } from 'zod';
import { containerBuildFailed, platformError } from './build-failure.ts';
import type { ContainerEngine } from './container-engine.ts';
import { within } from './time-limit.ts';

/** What an image says about the process it is made for. */
export interface ContainerConfig {
  /** ENTRYPOINT followed by CMD. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** `user`, `user:group`, names or numbers; empty means root. */
  readonly user: string;
  /** TCP ports of EXPOSE, ascending. */
  readonly exposed: readonly number[];
  readonly labels: Readonly<Record<string, string>>;
  readonly healthcheck?: Healthcheck;
}

/** The HEALTHCHECK of an image. */
export interface Healthcheck {
  /** Succeeds, with exit code 0, when the application is healthy. */
  readonly argv: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

const nanosecondsPerMs = 1_000_000;
/** While an application starts it is asked more often than later on, as a container engine does. */
const shortestIntervalMs = 500;
const longestIntervalMs = 5_000;
const defaultTimeoutMs = 30_000;
/** For the builder to say what an image is, on a busy host. */
const readLimitMs = 120_000;

const inspected = z.object({
  OCIv1: z.object({
    config: z
      .object({
        User: z.string().default(''),
        Env: z.array(z.string()).nullish(),
        Entrypoint: z.array(z.string()).nullish(),
        Cmd: z.array(z.string()).nullish(),
        WorkingDir: z.string().default(''),
        ExposedPorts: z.record(z.string(), z.unknown()).nullish(),
        Labels: z.record(z.string(), z.string()).nullish(),
      })
      .default({ User: '', WorkingDir: '' }),
  }),
  // What the open format has no place for.
  Docker: z
    .object({
      config: z
        .object({
          Shell: z.array(z.string()).nullish(),
          Healthcheck: z
            .object({
              Test: z.array(z.string()).nullish(),
              Interval: z.number().nullish(),
              Timeout: z.number().nullish(),
            })
            .nullish(),
        })
        .nullish(),
    })
    .nullish(),
});

/** @throws {BuildFailure} the image has no command to run */
export async function readContainerConfig(
  engine: ContainerEngine,
  imageId: string,
  signal: AbortSignal,
): Promise<ContainerConfig> {
  const what = "The image's configuration could not be read";
  const { code, stdout, stderr } = await within(signal, readLimitMs, what, (limited) =>
    engine.runConfined(
      ['buildah', 'inspect', '--type', 'image', imageId],
      { readOnly: [], writable: [] },
      { signal: limited },
    ),
  );
  if (code !== 0) throw platformError(new Error(`cannot inspect the image: ${stderr.trim()}`));
  return parseContainerConfig(stdout);
}

/** @param json what `buildah inspect --type image` prints */
export function parseContainerConfig(json: string): ContainerConfig {
  const image = inspected.parse(JSON.parse(json));
  const { config } = image.OCIv1;
  const argv = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (argv.length === 0 || argv[0] === '') {
    throw containerBuildFailed('The image has neither an ENTRYPOINT nor a CMD.');
  }
  return {
    argv,
    env: Object.fromEntries((config.Env ?? []).map(splitVariable)),
    workdir: config.WorkingDir.startsWith('/') ? config.WorkingDir : `/${config.WorkingDir}`,
    user: config.User,
    exposed: Object.keys(config.ExposedPorts ?? {})
      .flatMap(exposedPorts)
      .sort((a, b) => a - b),
    labels: config.Labels ?? {},
    ...healthcheckOf(image.Docker?.config),
  };
}

/** `8080` or `8080/tcp`; none of a range or of another protocol, which tell nothing about when an image is ready. */
function exposedPorts(text: string): readonly number[] {
  const [, first, last = first, protocol = 'tcp'] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(text) ?? [];
  const from = Number(first);
  const to = Number(last);
  if (protocol.toLowerCase() !== 'tcp' || !(from >= 1 && to >= from && to <= 65_535)) return [];
  // An application that names a range seldom listens on all of it, and nothing says on which part it does.
  return to === from ? [from] : [];
}

type DockerConfig = NonNullable<z.output<typeof inspected>['Docker']>['config'];

function healthcheckOf(config: DockerConfig | undefined): { readonly healthcheck?: Healthcheck } {
  const [kind, ...words] = config?.Healthcheck?.Test ?? [];
  const shell = config?.Shell ?? ['/bin/sh', '-c'];
  const argv = kind === 'CMD' ? words : kind === 'CMD-SHELL' ? [...shell, ...words] : [];
  if (argv.length === 0) return {};
  const intervalMs = (config?.Healthcheck?.Interval ?? 0) / nanosecondsPerMs;
  return {
    healthcheck: {
      argv,
      intervalMs: Math.min(Math.max(intervalMs, shortestIntervalMs), longestIntervalMs),
      timeoutMs: (config?.Healthcheck?.Timeout ?? 0) / nanosecondsPerMs || defaultTimeoutMs,
    },
  };
}

function splitVariable(text: string): [string, string] {
  const separator = text.indexOf('=');
  return separator < 0 ? [text, ''] : [text.slice(0, separator), text.slice(separator + 1)];
}
