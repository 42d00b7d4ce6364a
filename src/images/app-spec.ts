import type { AppSpec } from '../guest/guest-agent.ts';
import type { ImageVersion } from '../model/image.ts';
import type { ContainerConfig } from './container-config.ts';
import type { Account } from './users.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface AppSource {
  readonly container: ContainerConfig;
  readonly account: Account;
  readonly version: Pick<ImageVersion, 'imageArn' | 'imageVersion' | 'configuration'>;
  readonly imageName: string;
  readonly region: string;
}

/**
 * The application's process as the guest starts it. Variables of the Dockerfile give way to those of the image's
 * configuration, and both to the injected ones (spec section 3.6).
 */
export function resolveAppSpec(source: AppSource): AppSpec {
  const { container, account, version } = source;
  return {
    argv: container.argv,
    env: {
      PATH: defaultPath,
      HOME: account.home,
      ...container.env,
      ...version.configuration.environmentVariables,
      AWS_REGION: source.region,
      AWS_LAMBDA_MICROVM_IMAGE_ARN: version.imageArn,
      AWS_LAMBDA_MICROVM_IMAGE_NAME: source.imageName,
      AWS_LAMBDA_MICROVM_IMAGE_VERSION: version.imageVersion,
    },
    workdir: container.workdir,
    uid: account.uid,
    gid: account.gid,
    supplementaryGids: account.supplementaryGids,
    hostname: 'microvm',
    capabilities:
      version.configuration.additionalOsCapabilities?.includes('ALL') === true ? 'all' : 'default',
  };
}
