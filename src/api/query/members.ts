import { ServiceError } from '../../errors.ts';
import { type QueryParameter, queryValue } from '../sigv4/uri.ts';

const mostMembers = 500;

/**
 * Lists of the query protocol: `NAME.member.1`, `NAME.member.2`, and so on.
 * @returns for each member its parameters, by what follows the number (empty for a plain value)
 * @throws {ServiceError} ValidationException for too many
 */
export function listMembers(
  form: readonly QueryParameter[],
  name: string,
): readonly ReadonlyMap<string, string>[] {
  const members = new Map<number, Map<string, string>>();
  for (const [key, value] of form) {
    const match = /^(\w+)\.member\.(\d{1,4})(?:\.(.+))?$/.exec(key);
    if (match?.[1] !== name) continue;
    const index = Number(match[2]);
    const member = members.get(index) ?? new Map<string, string>();
    member.set(match[3] ?? '', value);
    members.set(index, member);
    if (members.size > mostMembers)
      throw new ServiceError('ValidationException', `${name} has too many members`);
  }
  return [...members].sort(([a], [b]) => a - b).map(([, member]) => member);
}

/** Plain values of a list. */
export function listValues(form: readonly QueryParameter[], name: string): readonly string[] {
  return listMembers(form, name).map((member) => member.get('') ?? '');
}

/**
 * `Tags.member.1.Key` and its `Value`.
 * @throws {ServiceError} ValidationException
 */
export function readTags(form: readonly QueryParameter[]): Readonly<Record<string, string>> {
  const tags = listMembers(form, 'Tags').map((member): [string, string] => {
    const key = member.get('Key') ?? '';
    const value = member.get('Value') ?? '';
    if (key === '' || key.length > 128 || value.length > 256 || key.startsWith('aws:')) {
      throw new ServiceError('ValidationException', `The tag ${JSON.stringify(key)} is not valid`);
    }
    return [key, value];
  });
  return Object.fromEntries(tags);
}

/** Whether a parameter is there. */
export function isGiven(form: readonly QueryParameter[], name: string): boolean {
  return queryValue(form, name) !== undefined;
}
