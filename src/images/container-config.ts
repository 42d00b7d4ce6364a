import { z } from 'zod';
import { containerBuildFailed, platformError } from './build-failure.ts';
import type { ContainerEngine } from './container-engine.ts';

/** What an image says about the process it is made for. */
export interface ContainerConfig {
  /** ENTRYPOINT followed by CMD. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  /** `user`, `user:group`, names or numbers; empty means root. */
  readonly user: string;
}

const inspected = z.object({
  OCIv1: z.object({
    config: z
      .object({
        User: z.string().default(''),
        Env: z.array(z.string()).nullish(),
        Entrypoint: z.array(z.string()).nullish(),
        Cmd: z.array(z.string()).nullish(),
        WorkingDir: z.string().default(''),
      })
      .default({ User: '', WorkingDir: '' }),
  }),
});

/** @throws {BuildFailure} the image has no command to run */
export async function readContainerConfig(
  engine: ContainerEngine,
  imageId: string,
  signal: AbortSignal,
): Promise<ContainerConfig> {
  const { code, stdout, stderr } = await engine.buildah(['inspect', '--type', 'image', imageId], { signal });
  if (code !== 0) throw platformError(new Error(`cannot inspect the image: ${stderr.trim()}`));
  return parseContainerConfig(stdout);
}

/** @param json what `buildah inspect --type image` prints */
export function parseContainerConfig(json: string): ContainerConfig {
  const { config } = inspected.parse(JSON.parse(json)).OCIv1;
  const argv = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (argv.length === 0 || argv[0] === '') {
    throw containerBuildFailed('The image has neither an ENTRYPOINT nor a CMD.');
  }
  return {
    argv,
    env: Object.fromEntries((config.Env ?? []).map(splitVariable)),
    workdir: config.WorkingDir.startsWith('/') ? config.WorkingDir : `/${config.WorkingDir}`,
    user: config.User,
  };
}

function splitVariable(text: string): [string, string] {
  const separator = text.indexOf('=');
  return separator < 0 ? [text, ''] : [text.slice(0, separator), text.slice(separator + 1)];
}
