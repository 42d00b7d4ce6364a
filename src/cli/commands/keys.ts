import type { Command } from 'commander';
import type { Change, Client } from '../client.ts';
import { age, note, print, printJson, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { readText } from '../text-input.ts';

/** As `/dormouse/v1/keys` tells of them. */
interface Key {
  readonly keyName: string;
  readonly arn: string;
  readonly accessKeyId: string;
  readonly policy: string;
  /** Epoch seconds. */
  readonly createdAt: number;
  readonly rotatedAt: number | null;
}

interface IssuedKey extends Key {
  readonly secretAccessKey: string;
}

interface CreateOptions extends RemoteOptions {
  readonly policy: string;
}

const keysPath = '/dormouse/v1/keys';

export function addKeys(program: Command): void {
  const keys = program
    .command('keys')
    .description('access keys that may do what a policy allows, and no more');
  addCreate(keys);
  addList(keys);
  addRotate(keys);
  addDelete(keys);
}

function addCreate(keys: Command): void {
  const command = remote(keys.command('create'))
    .description('make an access key; its secret is shown this once')
    .argument('<name>', 'what to call it')
    .requiredOption('--policy <file>', 'policy document (JSON) of what it may do; - reads standard input')
    .action(async (keyName: string, options: CreateOptions) => {
      const policy = await readText(options.policy, 'policy');
      await withClient(options, async (client) => {
        const body = { keyName, policy };
        printIssued(await issue(client, keysPath, { method: 'POST', body }), options);
      });
    });
  examples(command, 'dormouse keys create ci --policy ci-policy.json');
}

function addList(keys: Command): void {
  const command = remote(keys.command('list'))
    .description('list access keys, without their secrets')
    .action(async (options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const response = await client.extension(keysPath);
        const { keys: items } = (await response.json()) as { readonly keys: readonly Key[] };
        if (options.json) printJson(items);
        else print(keyTable(items));
      });
    });
  examples(command, 'dormouse keys list', 'dormouse keys list --json');
}

function addRotate(keys: Command): void {
  const command = remote(keys.command('rotate'))
    .description('give a key a new id and secret; the old ones end at once')
    .argument('<name>', 'name of the key')
    .action(async (keyName: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        printIssued(await issue(client, `${pathOf(keyName)}/rotate`, { method: 'POST' }), options);
      });
    });
  examples(command, 'dormouse keys rotate ci');
}

function addDelete(keys: Command): void {
  const command = remote(keys.command('delete'))
    .description('end a key at once')
    .argument('<name>', 'name of the key')
    .action(async (keyName: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        await client.extension(pathOf(keyName), undefined, { method: 'DELETE' });
        if (options.json) printJson({ keyName });
        else print(`${keyName} is deleted`);
      });
    });
  examples(command, 'dormouse keys delete ci');
}

function pathOf(keyName: string): string {
  return `${keysPath}/${encodeURIComponent(keyName)}`;
}

async function issue(client: Client, path: string, change: Change): Promise<IssuedKey> {
  return (await (await client.extension(path, undefined, change)).json()) as IssuedKey;
}

function printIssued(key: IssuedKey, options: RemoteOptions): void {
  if (options.json) {
    printJson(key);
    return;
  }
  print(`export AWS_ACCESS_KEY_ID='${key.accessKeyId}'`);
  print(`export AWS_SECRET_ACCESS_KEY='${key.secretAccessKey}'`);
  note('The secret is not shown again.');
}

function keyTable(keys: readonly Key[]): string {
  return table(
    ['NAME', 'ACCESS KEY', 'CREATED', 'ROTATED'],
    keys.map((key) => [
      key.keyName,
      key.accessKeyId,
      age(new Date(key.createdAt * 1000)),
      key.rotatedAt === null ? '-' : age(new Date(key.rotatedAt * 1000)),
    ]),
  );
}
