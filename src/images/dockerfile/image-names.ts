/** Stages above the present one. */
export interface Stages {
  /** In lower case; '' for one without a name. */
  readonly names: readonly string[];
}

const component = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const reference = new RegExp(
  `^(?:(?<host>localhost|[a-zA-Z0-9-]+(?:\\.[a-zA-Z0-9-]+)+|[a-zA-Z0-9.-]+(?=:\\d))(?<port>:\\d{1,5})?/)?` +
    `(?<path>${component}(?:/${component})*)(?<tag>:\\w[\\w.-]{0,127})?(?<digest>@sha256:[0-9a-f]{64})?$`,
);

/** What an engine takes before a colon for where an image is, not for its name. */
const transports: ReadonlySet<string> = new Set([
  ...[
    'atomic',
    'containers-storage',
    'dir',
    'docker',
    'docker-archive',
    'docker-daemon',
    'oci',
    'oci-archive',
  ],
  ...['ostree', 'sif', 'sha256', 'tarball'],
]);

export function isStage(name: string, { names }: Stages): boolean {
  const wanted = name.toLowerCase();
  return (wanted !== '' && names.includes(wanted)) || (/^\d{1,4}$/.test(name) && Number(name) < names.length);
}

/**
 * The name by which a builder finds an image in a registry, or among those named `dormouse/…`, and nowhere else: not by
 * an image's id, which could be another's, and not in files of the host.
 * @returns undefined for what is no such name
 */
export function imageName(given: string): string | undefined {
  const name = given.replace(/^docker:\/\//, '');
  const { host, port, path = '', tag = '', digest = '' } = reference.exec(name)?.groups ?? {};
  if (path === '') return undefined;
  if (host === 'localhost' && port === undefined) return path.startsWith('dormouse/') ? name : undefined;
  if (host !== undefined || path.includes('/')) return name;
  // These would be looked up as an image's id first, or taken for a kind of place.
  return /^[0-9a-f]+$/.test(path) || transports.has(path) ? `docker.io/library/${path}${tag}${digest}` : name;
}
