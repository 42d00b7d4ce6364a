import { containerBuildFailed } from './build-failure.ts';

/** Content of the account files of an image; empty where it has none. */
export interface AccountFiles {
  readonly passwd: string;
  readonly group: string;
}

export interface Account {
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids: readonly number[];
  readonly home: string;
}

const largestId = 2 ** 32 - 2;
/** What the kernel lets a process have. */
const mostGroups = 65_536;

/**
 * Finds the account a USER instruction names, as container runtimes do: names or numbers, with the groups of
 * the account unless a group is given. The primary group is always among the supplementary ones: without it a
 * process could shed it and escape rules that deny the group.
 * @param user `user`, `user:group`; empty means root
 * @throws {BuildFailure} no such user or group
 */
export function resolveAccount(user: string, files: AccountFiles): Account {
  const [userPart = '', groupPart] = user.split(':', 2);
  const users = parse(files.passwd);
  const groups = parse(files.group);
  const wanted = userPart === '' ? '0' : userPart;
  const numericUser = idOf(wanted);
  const entry =
    users.find(([name]) => name === wanted) ??
    users.find(([, , id]) => numericUser !== undefined && parseId(id) === numericUser);
  const uid = parseId(entry?.[2]) ?? numericUser;
  if (uid === undefined) throw containerBuildFailed(`The image has no user ${JSON.stringify(userPart)}.`);
  const home = entry?.[5]?.startsWith('/') === true ? entry[5] : uid === 0 ? '/root' : '/';
  if (groupPart !== undefined && groupPart !== '') {
    const gid = parseId(groups.find(([name]) => name === groupPart)?.[2]) ?? idOf(groupPart);
    if (gid === undefined) throw containerBuildFailed(`The image has no group ${JSON.stringify(groupPart)}.`);
    return { uid, gid, supplementaryGids: [gid], home };
  }
  const gid = parseId(entry?.[3]) ?? 0;
  const name = entry?.[0];
  const supplementaryGids =
    name === undefined
      ? []
      : groups.flatMap(([, , id, members]) => {
          const found = parseId(id);
          return found !== undefined && members?.split(',').includes(name) === true ? [found] : [];
        });
  return {
    uid,
    gid,
    supplementaryGids: [...new Set([gid, ...supplementaryGids])].slice(0, mostGroups),
    home,
  };
}

function parse(file: string): string[][] {
  return file
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'));
}

/** The number that is named without a file's help: there is a root in every image. */
function idOf(name: string): number | undefined {
  return name === 'root' ? 0 : parseId(name);
}

function parseId(text: string | undefined): number | undefined {
  if (text === undefined || !/^\d{1,10}$/.test(text)) return undefined;
  const id = Number(text);
  return id <= largestId ? id : undefined;
}
