import { once } from 'node:events';
import { constants } from 'node:os';
import type { Command } from 'commander';
import type { WebSocket } from 'ws';
import { collectVariables } from '../arguments.ts';
import { CannotRunError, CliError, ExitStatus } from '../errors.ts';
import { openSocket } from '../microvm-socket.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { followSize, rawTerminal, terminalSize } from '../terminal.ts';

interface ExecOptions extends RemoteOptions {
  readonly detach?: true;
  readonly tty?: true;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir?: string;
  readonly user?: string;
}

export function addExec(program: Command): void {
  const command = remote(program.command('exec'))
    .description("run a command in a microVM; its exit status is this command's")
    .argument('<microvm>', 'its id, or the start of it')
    .argument('<command...>', 'the command and its arguments')
    .passThroughOptions()
    .option('-t, --tty', 'on a terminal')
    .option('-d, --detach', 'return at once; the command goes on, and its output goes nowhere')
    .option('-e, --env <key=value>', 'environment variable, may be repeated', collectVariables)
    .option('-w, --workdir <directory>', "directory to run it in (default: the image's WORKDIR)")
    .option('-u, --user <user>', "name or number, with :group or without (default: the image's USER)")
    .option('-i, --interactive', 'pass standard input on, which is always done')
    .action(async (name: string, argv: readonly string[], options: ExecOptions) => {
      await withClient(options, async (client) => {
        const socket = await openSocket(client, name, '/dormouse/v1/exec');
        // What sets the command apart from our own options is no part of it.
        const command = argv[0] === '--' ? argv.slice(1) : argv;
        const status = await run(socket, options.detach ? [...inBackground, ...command] : command, options);
        if (status !== 0) throw new ExitStatus(status);
      });
    });
  examples(command, 'dormouse exec 3f2a -- ls -l /', 'dormouse exec -t 3f2a -- top');
}

/** Leaves the command to the container's process 1. */
const inBackground = [
  '/bin/sh',
  '-c',
  'command -v "$1" >/dev/null || exit 127; "$@" </dev/null >/dev/null 2>&1 &',
  'sh',
];

async function run(socket: WebSocket, argv: readonly string[], options: ExecOptions): Promise<number> {
  const { env, workdir, user } = options;
  const pty = options.tty ? terminalSize() : undefined;
  const restore = options.tty ? rawTerminal() : () => undefined;
  const control = (message: object): void => socket.send(JSON.stringify(message));
  control({ argv, env, workdir, user, pty });
  const stopFollowing = options.tty
    ? followSize((size) => control({ type: 'resize', ...size }))
    : () => undefined;
  process.on('SIGINT', () => control({ type: 'signal', signal: constants.signals.SIGINT }));
  process.on('SIGTERM', () => control({ type: 'signal', signal: constants.signals.SIGTERM }));
  process.stdin.on('data', (chunk) => {
    if (socket.readyState !== socket.OPEN) return;
    process.stdin.pause();
    socket.send(chunk, { binary: true }, () => process.stdin.resume());
  });
  process.stdin.once('end', () => socket.readyState === socket.OPEN && control({ type: 'eof' }));
  const outcome = Promise.withResolvers<number>();
  socket.on('message', (data: Buffer, isBinary) => {
    if (!isBinary) return settle(JSON.parse(data.toString('utf8')), outcome);
    const output = data[0] === 2 ? process.stderr : process.stdout;
    if (output.write(data.subarray(1))) return;
    socket.pause();
    output.once('drain', () => socket.resume());
  });
  once(socket, 'close').then(() => outcome.reject(new CliError('The connection to the microVM was lost.')));
  try {
    return await outcome.promise;
  } finally {
    stopFollowing();
    restore();
    process.stdin.destroy();
    socket.terminate();
  }
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
