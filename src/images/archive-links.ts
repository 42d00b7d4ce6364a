import path from 'node:path';

/** What an archive holds at a path: a directory, a file, or a symbolic link and its target. */
export type ArchiveNode =
  | { readonly type: 'directory' }
  | { readonly type: 'file' }
  | { readonly type: 'link'; readonly target: string };

const mostLinksFollowed = 40;

/**
 * Whether following the link at `name` stays inside the archive's tree at every step, links met on the way
 * included. What does not exist counts as an ordinary directory.
 * @param tree nodes by normalised relative path
 */
export function linkStaysInside(name: string, tree: ReadonlyMap<string, ArchiveNode>): boolean {
  const pending = [...name.split('/')];
  const at: string[] = [];
  let followed = 0;
  while (pending.length > 0) {
    const part = pending.shift();
    if (part === undefined || part === '' || part === '.') continue;
    if (part === '..') {
      if (at.pop() === undefined) return false;
      continue;
    }
    const node = tree.get(path.posix.join(...at, part));
    if (node?.type !== 'link') {
      at.push(part);
      continue;
    }
    followed += 1;
    if (followed > mostLinksFollowed || node.target.startsWith('/')) return false;
    pending.unshift(...node.target.split('/'));
  }
  return true;
}
