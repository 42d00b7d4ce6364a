import { once } from 'node:events';
import type { Command } from 'commander';
import type { WebSocket } from 'ws';
import { openSocket } from '../microvm-socket.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { followSize, rawTerminal } from '../terminal.ts';

interface ShellOptions extends RemoteOptions {
  readonly user: string;
}

export function addShell(program: Command): void {
  const command = remote(program.command('shell'))
    .description('a shell in a microVM that was run with --shell')
    .argument('<microvm>', 'its id, or the start of it')
    .option('-u, --user <user>', "name or number, with :group or without (default: the image's USER)", '')
    .action(async (name: string, options: ShellOptions) => {
      const path = `/shell?user=${encodeURIComponent(options.user)}`;
      await withClient(options, async (client) => await shell(await openSocket(client, name, path)));
    });
  examples(command, 'dormouse shell 3f2a', 'dormouse shell --user root 3f2a');
}

/** The service's shell protocol: bytes as typed and shown in binary messages, sizes as JSON. */
async function shell(socket: WebSocket): Promise<void> {
  const restore = rawTerminal();
  const stopFollowing = followSize(({ columns, rows }) =>
    socket.send(JSON.stringify({ type: 'resize', cols: columns, rows })),
  );
  process.stdin.on('data', (chunk) => socket.send(chunk, { binary: true }));
  // End of transmission, as from the keyboard, when the input is a file.
  process.stdin.once('end', () => socket.send(Buffer.of(4), { binary: true }));
  socket.on('message', (data: Buffer, isBinary) => {
    // The one text message names the session.
    if (!isBinary || process.stdout.write(data)) return;
    socket.pause();
    process.stdout.once('drain', () => socket.resume());
  });
  try {
    await once(socket, 'close');
  } finally {
    stopFollowing();
    restore();
    process.stdin.destroy();
  }
}
