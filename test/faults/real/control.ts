import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

export const environment = { socket: 'FAULTS_SOCKET', dataDirectory: 'FAULTS_DATA_DIRECTORY' } as const;

export type Victim = 'server' | 'machines';

export interface Command {
  readonly kill: Victim | 'nothing';
  /** Steps before the one at which that is done. */
  readonly at: number;
}

/** What came of the command before. */
export interface Report {
  /** The step it met. */
  readonly struck: string | undefined;
  readonly steps: number;
  /** VMMs that the server killed. */
  readonly killed: number;
}

/** Where a server that kills itself writes down at which step. */
export function struckFile(socket: string): string {
  return `${socket}.struck`;
}

/** Tells the server what to do; resolves with what came of the command before, or undefined when it is dead. */
export async function tell(socket: string, command: Command): Promise<Report | undefined> {
  if (command.kill !== 'nothing') await rm(struckFile(socket), { force: true });
  const connection = connect(socket);
  connection.write(JSON.stringify(command));
  const answer = await text(connection).catch(() => '');
  return answer === '' ? undefined : (JSON.parse(answer) as Report);
}

/** The step at which a server that is dead has killed itself; undefined when it died otherwise. */
export async function lastStep(socket: string): Promise<string | undefined> {
  return await readFile(struckFile(socket), 'utf8').catch(() => undefined);
}
