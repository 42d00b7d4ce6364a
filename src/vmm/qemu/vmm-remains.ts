import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { vmFiles, vmSockets } from './arguments.ts';
import { isAlive, readProcessRecord } from './process.ts';
import { connectUnix, refusesConnections } from './unix-socket.ts';

/**
 * Names of files in a VM's directory that are of use only while its process lives, which certainly does not: sockets
 * on which nobody listens, and the record of a process that is gone.
 */
export async function vmmRemains(directory: string): Promise<readonly string[]> {
  const [names, record] = await Promise.all([readdir(directory), readProcessRecord(directory)]);
  const there = new Set(names);
  // Whose identity is not known may still be on its way.
  const gone = record?.identity !== undefined && !(await isAlive(record.identity));
  if (record !== undefined && !gone) return [];
  const sockets = vmSockets.filter((name) => there.has(name));
  const dead = await Promise.all(sockets.map((name) => refusesAll(path.join(directory, name))));
  return [...(gone ? [vmFiles.process] : []), ...sockets.filter((_name, index) => dead[index])];
}

async function refusesAll(socket: string): Promise<boolean> {
  try {
    (await connectUnix(socket)).destroy();
    return false;
  } catch (error) {
    return refusesConnections(error);
  }
}
