import type { BuildOptions } from './build-options.ts';
import type { ContainerConfig } from './container-config.ts';
import type { ReadinessRules } from './readiness.ts';

/** What an application without a say in it is waited for at most. */
const defaultLimitMs = 300_000;
const longestLimitMs = 3600_000;
const workerLabel = 'dormouse.worker';
const limitLabel = 'dormouse.ready-timeout';

/** When the application of an image is ready: by what its build was told, its labels, HEALTHCHECK and EXPOSE. */
export function readinessRules(
  { labels, exposed, healthcheck }: ContainerConfig,
  options: Pick<BuildOptions, 'worker' | 'readyTimeoutSeconds'>,
): ReadinessRules {
  const limitMs =
    options.readyTimeoutSeconds === undefined
      ? (readSeconds(labels[limitLabel]) ?? defaultLimitMs)
      : options.readyTimeoutSeconds * 1000;
  const worker = options.worker ?? labels[workerLabel] === 'true';
  return { exposed, worker, limitMs, healthcheck: worker ? undefined : healthcheck };
}

/** `90` or `90s`, in milliseconds; undefined where it is neither. */
function readSeconds(text: string | undefined): number | undefined {
  const seconds = /^(\d{1,4})s?$/.exec(text ?? '')?.[1];
  return seconds === undefined ? undefined : Math.min(Number(seconds) * 1000, longestLimitMs);
}
