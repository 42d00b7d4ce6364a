import { once } from 'node:events';
import { constants } from 'node:os';
import type { Command } from 'commander';
import type { WebSocket } from 'ws';
import { collectVariables } from '../arguments.ts';
import { CliError, ExitStatus } from '../errors.ts';
import { openSocket } from '../microvm-socket.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { followSize, rawTerminal, terminalSize } from '../terminal.ts';

interface ExecOptions extends RemoteOptions {
  readonly tty?: true;
  readonly env?: Readonly<Record<string, string>>;
  readonly workdir: string;
}

export function addExec(program: Command): void {
  const command = remote(program.command('exec'))
    .description("run a command in a microVM; its exit status is this command's")
    .argument('<microvm>', 'its id, or the start of it')
    .argument('<command...>', 'the command and its arguments')
    .passThroughOptions()
    .option('-t, --tty', 'on a terminal')
    .option('-e, --env <key=value>', 'environment variable, may be repeated', collectVariables)
    .option('-w, --workdir <directory>', 'directory to run it in', '/')
    .action(async (name: string, argv: readonly string[], options: ExecOptions) => {
      await withClient(options, async (client) => {
        const socket = await openSocket(client, name, '/dormouse/v1/exec');
        // What sets the command apart from our own options is no part of it.
        const status = await run(socket, argv[0] === '--' ? argv.slice(1) : argv, options);
        if (status !== 0) throw new ExitStatus(status);
      });
    });
  examples(command, 'dormouse exec 3f2a -- ls -l /', 'dormouse exec -t 3f2a -- top');
}

async function run(socket: WebSocket, argv: readonly string[], options: ExecOptions): Promise<number> {
  const { env, workdir } = options;
  const pty = options.tty ? terminalSize() : undefined;
  const restore = options.tty ? rawTerminal() : () => undefined;
  const control = (message: object): void => socket.send(JSON.stringify(message));
  control({ argv, env, workdir, pty });
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
  message: { readonly type: string; readonly code?: number; readonly message?: string },
  outcome: PromiseWithResolvers<number>,
): void {
  if (message.type === 'exit') outcome.resolve(message.code ?? 0);
  else outcome.reject(new CliError(message.message ?? 'The command could not be run.'));
}
