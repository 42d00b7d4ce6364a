import { once } from 'node:events';
import { constants } from 'node:os';
import type { Command } from 'commander';
import type { WebSocket } from 'ws';
import { collectOwnVariables } from '../arguments.ts';
import { CannotRunError, CliError, ExitStatus } from '../errors.ts';
import { takeManyWords } from '../many-words.ts';
import { openSocket } from '../microvm-socket.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { followSize, rawTerminal, terminalSize } from '../terminal.ts';

interface ExecOptions extends RemoteOptions {
  readonly detach?: true;
  readonly interactive?: true;
  readonly tty?: true;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly user?: string;
}

export function addExec(program: Command): void {
  const command = takeManyWords(remote(program.command('exec')))
    .description("run a command in a microVM; its exit status is this command's")
    .argument('<microvm>', 'its id, or the start of it')
    .argument('<command...>', 'the command and its arguments')
    .passThroughOptions()
    .option('-i, --interactive', 'pass standard input on; without it there is none')
    .option('-t, --tty', 'on a terminal; with -i for typing')
    .option('-d, --detach', 'return once it runs; it goes on without input, output and terminal')
    .option(
      '-e, --env <key[=value]>',
      'environment variable, or one of ours; may be repeated',
      collectOwnVariables,
    )
    .option('-w, --workdir <directory>', "directory to run it in (default: the image's WORKDIR)")
    .option('-u, --user <user>', "name or number, with :group or without (default: the image's USER)")
    .action(async (name: string, argv: readonly string[], options: ExecOptions) => {
      await withClient(options, async (client) => {
        const socket = await openSocket(client, name, '/dormouse/v1/exec');
        // What sets the command apart from our own options is no part of it.
        const command = argv[0] === '--' ? argv.slice(1) : argv;
        const status = await run(socket, command, options);
        if (status !== 0) throw new ExitStatus(status);
      });
    });
  examples(command, 'dormouse exec 3f2a -- ls -l /', 'dormouse exec -it 3f2a -- top');
}

/** The server takes no message of this size. */
const messageTooBig = 1009;

async function run(socket: WebSocket, argv: readonly string[], options: ExecOptions): Promise<number> {
  const { env, workdir, user, detach, interactive } = options;
  const tty = options.tty && !detach;
  const pty = tty ? terminalSize() : undefined;
  const restore = tty && interactive ? rawTerminal() : () => undefined;
  const control = (message: object): void => socket.send(JSON.stringify(message));
  control({ argv, env, workdir, user, pty, detach });
  const stopFollowing = tty ? followSize((size) => control({ type: 'resize', ...size })) : () => undefined;
  process.on('SIGINT', () => control({ type: 'signal', signal: constants.signals.SIGINT }));
  process.on('SIGTERM', () => control({ type: 'signal', signal: constants.signals.SIGTERM }));
  if (interactive && !detach) passInput(socket);
  // A terminal on which nobody types has no end either.
  else if (!tty && !detach) control({ type: 'eof' });
  const outcome = Promise.withResolvers<number>();
  socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) return settle(JSON.parse(data.toString('utf8')), outcome);
    const output = data[0] === 2 ? process.stderr : process.stdout;
    if (output.write(data.subarray(1))) return;
    socket.pause();
    output.once('drain', () => socket.resume());
  });
  once(socket, 'close').then(([code]) => outcome.reject(closedBy(code)));
  try {
    return await outcome.promise;
  } finally {
    stopFollowing();
    restore();
    process.stdin.destroy();
    socket.terminate();
  }
}

function passInput(socket: WebSocket): void {
  process.stdin.on('data', (chunk) => {
    if (socket.readyState !== socket.OPEN) return;
    process.stdin.pause();
    socket.send(chunk, { binary: true }, () => process.stdin.resume());
  });
  process.stdin.once('end', () => {
    if (socket.readyState === socket.OPEN) socket.send(JSON.stringify({ type: 'eof' }));
  });
}

function closedBy(code: number): CliError {
  if (code !== messageTooBig) return new CliError('The connection to the microVM was lost.');
  return new CannotRunError(
    'The arguments and variables are more than can be sent (4 MiB; a control character takes six bytes).',
    'E2BIG',
  );
}

function settle(
  message: { readonly type: string; readonly code?: number | string; readonly message?: string },
  outcome: PromiseWithResolvers<number>,
): void {
  if (message.type === 'exit') outcome.resolve(Number(message.code ?? 0));
  else if (typeof message.code === 'string') {
    outcome.reject(new CannotRunError(message.message ?? 'The command could not be run.', message.code));
  } else outcome.reject(new CliError(message.message ?? 'The command could not be run.'));
}
