import { once } from 'node:events';
import type { RawData, WebSocket } from 'ws';
import { z } from 'zod';
import { ExecError, type ExecSession, type ExecSpec } from '../guest/guest-agent.ts';
import { badGateway, isPutToSleep, RefusedError } from './refusals.ts';
import type { Exec } from './shell.ts';
import type { UpgradeClient } from './upgrade-client.ts';
import { acceptWebSocket, sendOutput } from './web-socket.ts';

/**
 * Path on which a shell token runs one command over a WebSocket; an extension. The client's first message is
 * the command as JSON, and with `detach` all there is to say: `exit` with 0 means that it runs. Then binary messages
 * are its standard input, and text messages are control: `eof`, `resize`, `signal`. What comes back is binary, its
 * first byte 1 for standard output and 2 for standard error,
 * and at the end one text message: `exit` with code and signal, or `error` when it could not be run, with the errno as
 * `code` where there is one.
 */
export const execPath = '/dormouse/v1/exec';

const size = z.number().int().min(1).max(65_535);
const text = z.string().regex(/^[^\0]*$/, 'must not hold NUL');

const command = z
  .object({
    argv: z.array(text).min(1, 'must hold the name of a program'),
    env: z.record(z.string().regex(/^[^=\0]+$/, 'must have a name'), text).default({}),
    workdir: text.startsWith('/', 'must be an absolute path').max(4096).optional(),
    user: text.min(1, 'must not be empty').max(1024).optional(),
    pty: z.object({ columns: size, rows: size }).optional(),
    detach: z.boolean().default(false),
  })
  .refine(({ detach, pty }) => !detach || pty === undefined, {
    path: ['pty'],
    error: 'must not be there with detach',
  });

const control = z.discriminatedUnion('type', [
  z.object({ type: z.literal('eof') }),
  z.object({ type: z.literal('resize'), columns: size, rows: size }),
  z.object({ type: z.literal('signal'), signal: z.number().int().min(1).max(64) }),
]);

const commandTimeoutMs = 10_000;
const putToSleep =
  'the microVM was put to sleep, and the command has ended; to keep it awake for commands: dormouse activity VM exec';

/**
 * Runs a command for a client that may have a shell.
 * @throws {RefusedError} there is nothing to run it with
 */
export function serveExec(
  client: UpgradeClient,
  microvmId: string,
  exec: Exec | undefined,
  requestId: string,
): void {
  if (exec === undefined) throw new RefusedError(badGateway('BAD_GATEWAY'));
  if (client.exchange.left.happened) return;
  acceptWebSocket(client, requestId, (connection) => {
    // What breaks WebSocket's rules or limits is told by a close frame, which must still go out.
    connection.on('error', (error) => {
      if (!('code' in error && String(error.code).startsWith('WS_ERR_'))) connection.terminate();
    });
    const left = new AbortController();
    connection.once('close', () => left.abort());
    run(connection, (spec) => exec(microvmId, spec, left.signal), left.signal).catch((error: unknown) => {
      const message = error instanceof Error ? error.message : 'the command could not be run';
      fail(connection, message, error instanceof ExecError ? error.code : undefined);
    });
  });
}

async function run(
  connection: WebSocket,
  start: (spec: ExecSpec) => Promise<ExecSession>,
  left: AbortSignal,
): Promise<void> {
  const timeout = AbortSignal.timeout(commandTimeoutMs);
  const [data] = (await once(connection, 'message', { signal: AbortSignal.any([timeout, left]) })) as [
    RawData,
  ];
  // What comes before the process runs waits in the connection.
  connection.pause();
  const parsed = command.safeParse(jsonOf(bytesOf(data).toString('utf8')));
  if (!parsed.success) throw new ExecError('EINVAL', whatIsWrong(parsed.error));
  const { argv, pty, env, workdir, user, detach } = parsed.data;
  const terminal: Record<string, string> = pty === undefined ? {} : { TERM: 'xterm' };
  const session = await start({
    argv,
    env: { ...terminal, ...env },
    ...(workdir === undefined ? {} : { workdir }),
    ...(user === undefined ? {} : { user }),
    ...(pty === undefined ? {} : { pty }),
    ...(detach ? { detach } : {}),
  });
  if (left.aborted) return session.close();
  left.addEventListener('abort', () => session.close(), { once: true });
  join(connection, session);
  connection.resume();
}

function whatIsWrong({ issues }: z.ZodError): string {
  const [issue] = issues;
  if (issue === undefined || issue.path.length === 0) return 'the first message is no command';
  return `the command's ${issue.path.join('.')} ${issue.message}`;
}

function join(connection: WebSocket, session: ExecSession): void {
  const { stdio, stderr } = session;
  const outputs = [forward(connection, stdio, 1), forward(connection, stderr, 2)];
  stdio.on('drain', () => connection.resume());
  connection.on('message', (data, isBinary) => {
    const bytes = bytesOf(data);
    if (!isBinary) steer(connection, session, bytes.toString('utf8'));
    else if (stdio.writable && !stdio.write(bytes)) connection.pause();
  });
  session.exit.then(
    async ({ code, signal }) => {
      await Promise.all(outputs);
      connection.send(JSON.stringify({ type: 'exit', code, signal }));
      connection.close(1000);
    },
    (error: unknown) =>
      fail(connection, isPutToSleep(error) ? putToSleep : 'the connection to the process was lost'),
  );
}

/** Sends what a stream gives as messages of a channel; resolves at its end. */
function forward(connection: WebSocket, stream: NodeJS.ReadableStream, channel: 1 | 2): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  stream.on('error', () => resolve());
  stream.once('end', resolve);
  stream.once('close', resolve);
  sendOutput(connection, stream, (chunk) => Buffer.concat([Buffer.of(channel), chunk]));
  return promise;
}

function steer(connection: WebSocket, session: ExecSession, message: string): void {
  const { data: order } = control.safeParse(jsonOf(message));
  if (order?.type === 'eof') session.stdio.end();
  else if (order?.type === 'resize') session.resize(order.columns, order.rows);
  else if (order?.type === 'signal') session.signal(order.signal);
  else fail(connection, 'malformed control message');
}

/** @param code errno where the process could not be started */
function fail(connection: WebSocket, message: string, code?: string): void {
  if (connection.readyState !== connection.OPEN) return;
  connection.resume();
  connection.send(JSON.stringify({ type: 'error', message, code }));
  connection.close(1011);
}

function bytesOf(data: RawData): Buffer {
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer);
}

function jsonOf(message: string): unknown {
  try {
    return JSON.parse(message) as unknown;
  } catch {
    return undefined;
  }
}
