import { randomUUID } from 'node:crypto';
import type { WebSocket } from 'ws';
import { ExecError, type ExecSession, type ExecSpec } from '../guest/guest-agent.ts';
import { badGateway, isPutToSleep, RefusedError, shellNotStarted } from './refusals.ts';
import type { UpgradeClient } from './upgrade-client.ts';
import { acceptWebSocket, sendOutput } from './web-socket.ts';

/** Starts a process in a microVM, waking it when it sleeps. */
export type Exec = (microvmId: string, spec: ExecSpec, signal: AbortSignal) => Promise<ExecSession>;

/** Paths on which a shell token opens a shell (spec section 6). */
export const shellPaths: ReadonlySet<string> = new Set(['/shell', '/']);

const prompt = 'λ $ ';

/** Query of a shell's path that names who has it, as `USER` of a Dockerfile does; empty for the image's own user. */
const userParameter = 'user';

/** A shell in the application's container with its variables, in its directory, on a PTY (spec section 6). */
const shell: ExecSpec = {
  argv: ['/bin/sh', '-c', 'if command -v bash >/dev/null 2>&1; then exec bash -i; else exec sh -i; fi'],
  env: {
    TERM: 'xterm',
    PS1: prompt,
    // The start-up files of many images have a prompt of their own; this is for after them, and goes away.
    PROMPT_COMMAND: `PS1='${prompt}'; unset PROMPT_COMMAND`,
  },
  pty: { columns: 80, rows: 24 },
};

/** Root's, as the service has it, unless the path says otherwise; by its number, which every image knows. */
function shellFor(target: string): ExecSpec {
  const question = target.indexOf('?');
  const user = question < 0 ? null : new URLSearchParams(target.slice(question)).get(userParameter);
  return user === '' ? shell : { ...shell, user: user ?? '0' };
}

/**
 * Opens a shell for a client that may have one.
 * @throws {RefusedError} the microVM cannot be reached, or has no such user or no shell
 */
export async function serveShell(
  client: UpgradeClient,
  microvmId: string,
  exec: Exec | undefined,
  requestId: string,
): Promise<void> {
  if (exec === undefined) throw new RefusedError(badGateway('BAD_GATEWAY'));
  const session = await started(exec(microvmId, shellFor(client.exchange.path), client.exchange.left.signal));
  if (client.exchange.left.happened) return session.close();
  const stream = acceptWebSocket(client, requestId, (connection) => join(connection, session));
  stream.once('close', () => session.close());
}

async function started(session: Promise<ExecSession>): Promise<ExecSession> {
  try {
    return await session;
  } catch (error) {
    if (!(error instanceof ExecError)) throw error;
    throw new RefusedError(shellNotStarted(error.message), { cause: error });
  }
}

function join(connection: WebSocket, session: ExecSession): void {
  const { stdio } = session;
  connection.on('error', () => connection.terminate());
  connection.on('close', () => session.close());
  stdio.on('error', () => connection.close(1011));
  connection.send(JSON.stringify({ type: 'session_init', session_id: randomUUID() }));

  sendOutput(connection, stdio, (chunk) => chunk);
  stdio.on('drain', () => connection.resume());
  connection.on('message', (data, isBinary) => {
    const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
    const size = isBinary ? undefined : resizeOf(bytes.toString('utf8'));
    if (size !== undefined) session.resize(size.columns, size.rows);
    else if (stdio.writable && !stdio.write(bytes)) connection.pause();
  });
  session.exit.then(
    () => whenRead(session, () => connection.close(1000, 'shell exited')),
    (error: unknown) => connection.close(1011, isPutToSleep(error) ? 'put to sleep' : ''),
  );
}

/** Runs `done` once the output before the end of the process has been read. */
function whenRead(session: ExecSession, done: () => void): void {
  if (session.stdio.readableEnded || session.stdio.destroyed) done();
  else session.stdio.once('close', done).once('end', done);
}

/** The size a control message asks for; any other text is typed (spec section 6). */
function resizeOf(text: string): { readonly columns: number; readonly rows: number } | undefined {
  try {
    const message: unknown = JSON.parse(text);
    if (typeof message !== 'object' || message === null) return undefined;
    if (!('type' in message && message.type === 'resize' && 'cols' in message && 'rows' in message)) {
      return undefined;
    }
    const { cols, rows } = message;
    return isSize(cols) && isSize(rows) ? { columns: cols, rows } : undefined;
  } catch {
    return undefined;
  }
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65_535;
}
