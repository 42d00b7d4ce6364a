import { createHash } from 'node:crypto';
import { dockerfileError } from './instructions.ts';

export interface Mount {
  /** As it is to be given to the builder. */
  readonly value: string;
  /** Where a step sees what another's layers do not tell of; in the context as a path, undefined without one. */
  readonly shows: 'context' | 'stage' | undefined;
  readonly contextPath: string | undefined;
}

const paths = ['source', 'src', 'target', 'dst', 'destination'];
const targets = ['target', 'dst', 'destination'];

/**
 * Checks a `--mount` of RUN and makes it harmless. The builder follows links in what it mounts, on the host's side of the
 * sandbox, so nothing is mounted from a path that a step could have made a link.
 * @param imageOf checks the value of `from`
 * @throws {BuildFailure}
 */
export function readMount(given: string, line: number, imageOf: (name: string) => string): Mount {
  const refuse = (detail: string) => dockerfileError(line, `--mount=${given.slice(0, 200)}: ${detail}`);
  if (/["'\\]/.test(given)) throw refuse('quotes are not known here.');
  const options = given.split(',').map((part) => {
    const [key = '', ...value] = part.split('=');
    return { key: key.trim().toLowerCase(), value: value.length === 0 ? undefined : value.join('=').trim() };
  });
  const get = (...keys: readonly string[]) => options.find(({ key }) => keys.includes(key))?.value;
  for (const { key, value = '' } of options) {
    if (value.includes('$') && !targets.includes(key))
      throw refuse(`a variable in ${key} is not known here.`);
    if (paths.includes(key) && value.split('/').includes('..')) throw refuse(`${key} must not hold "..".`);
  }
  if (new Set(options.map(({ key }) => key)).size < options.length) throw refuse('an option is given twice.');
  const type = get('type') ?? 'bind';
  const from = get('from');
  const source = get('source', 'src');
  const write = (changed: readonly { readonly key: string; readonly value?: string | undefined }[]): string =>
    changed.map(({ key, value }) => (value === undefined ? key : `${key}=${value}`)).join(',');
  if (type === 'cache') {
    if (from !== undefined || source !== undefined)
      throw refuse('a cache begins empty: from and source are not known here.');
    const id = createHash('sha256')
      .update(get('id') ?? get(...targets) ?? '')
      .digest('hex');
    const value = write([...options.filter(({ key }) => key !== 'id'), { key: 'id', value: id }]);
    return { value, shows: undefined, contextPath: undefined };
  }
  if (type !== 'bind') return { value: write(options), shows: undefined, contextPath: undefined };
  if (options.some(({ key }) => key === 'rw' || key === 'readwrite')) {
    throw refuse('what is mounted can only be read here: leave rw out, and copy what is to be changed.');
  }
  if (from === undefined) return { value: write(options), shows: 'context', contextPath: source ?? '.' };
  if (source !== undefined && source !== '/') {
    throw refuse(
      'of a stage or an image all is mounted here: leave source out, and name the path below target.',
    );
  }
  const value = write(
    options.map(({ key, value: old }) => ({ key, value: key === 'from' ? imageOf(from) : old })),
  );
  return { value, shows: 'stage', contextPath: undefined };
}
