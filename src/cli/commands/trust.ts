import os from 'node:os';
import type { Command } from 'commander';
import { print, printJson } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { TrustedAuthority } from '../trust-stores.ts';

interface TrustOptions extends RemoteOptions {
  readonly system?: true;
  readonly remove?: true;
}

export function addTrust(program: Command): void {
  const command = remote(program.command('trust'))
    .description("make this user's browsers trust the certificates of the endpoints")
    .option(
      '--system',
      'what curl and the other programs of this machine trust, instead of browsers; for root',
    )
    .option('--remove', 'trust them no longer')
    .action(trust);
  examples(
    command,
    'dormouse trust',
    'sudo dormouse trust --system --data-dir ~/.local/share/dormouse',
    'dormouse trust --remove',
  );
}

async function trust(options: TrustOptions): Promise<void> {
  const pem = await withClient(options, (client) => client.certificateAuthority());
  const authority = new TrustedAuthority(pem);
  const trusted = options.remove !== true;
  const stores = options.system
    ? [await authority.inSystem(trusted)]
    : await authority.inBrowsers(trusted, os.homedir());
  if (options.json) return printJson({ trusted, stores });
  for (const store of stores) print(`${trusted ? 'trusted' : 'no longer trusted'} in ${store}`);
  if (trusted && !options.system) print('browsers that are open take it at their next start');
}
