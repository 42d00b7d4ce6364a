import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** A call that changes a file, makes one durable, or says something to the outside. */
export interface SystemCall {
  readonly name: 'write' | 'sync' | 'create' | 'unlink' | 'say';
  /** Absolute; what was said for `say`. */
  readonly subject: string;
}

const traced = 'write,pwrite64,pwritev,writev,ftruncate,copy_file_range,fsync,fdatasync,openat,unlink';

/** Runs a program under strace; resolves with its calls on files below `directory`, in order. */
export async function systemCalls(
  command: readonly string[],
  directory: string,
  log: string,
): Promise<readonly SystemCall[]> {
  const options = ['-f', '-y', '-s', '200', '-e', `trace=${traced}`, '-e', 'signal=none', '-o', log];
  await promisify(execFile)('strace', [...options, '--', ...command]);
  const lines = (await readFile(log, 'utf8')).split('\n');
  return lines
    .flatMap((line) => parse(line) ?? [])
    .filter(
      ({ name, subject }) => name === 'say' || subject === directory || subject.startsWith(`${directory}/`),
    );
}

function parse(line: string): SystemCall | undefined {
  const [, call = '', first = ''] = /^\d+ +(\w+)\((.*)$/.exec(line) ?? [];
  const [, descriptor, file = ''] = /^(\d+)<([^>]*)>/.exec(first) ?? [];
  if (call === 'openat') {
    const [, created] = first.includes('O_CREAT') ? (/"([^"]+)"/.exec(first) ?? []) : [];
    return created === undefined ? undefined : { name: 'create', subject: created };
  }
  if (call === 'unlink') return { name: 'unlink', subject: /"([^"]+)"/.exec(first)?.[1] ?? '' };
  if (call.endsWith('sync')) return { name: 'sync', subject: file };
  if (call === '' || descriptor === undefined) return undefined;
  if (descriptor === '1') return { name: 'say', subject: /"([^"]*)"/.exec(first)?.[1] ?? '' };
  return { name: 'write', subject: file };
}
