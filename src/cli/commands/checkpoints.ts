import type { Command } from 'commander';
import { resolveMicrovmId } from '../identify.ts';
import { age, bytes, print, printJson, stateText, table } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface Checkpoint {
  readonly checkpointId: string;
  readonly name: string | null;
  readonly sizeInBytes: number;
  /** Seconds since the epoch. */
  readonly createdAt: number;
}

/** `checkpoint`, `checkpoints`, `rollback` and `commit`. */
export function addCheckpoints(program: Command): void {
  addCreate(program);
  addList(program);
  addRollBack(program);
  addCommit(program);
}

function collectionOf(microvmId: string): string {
  return `/dormouse/v1/microvms/${microvmId}/checkpoints`;
}

function addCreate(program: Command): void {
  const command = remote(program.command('checkpoint'))
    .description('store what a microVM is now, to return to it later')
    .argument('<microvm>', 'its id, or the start of it')
    .option('--name <name>', 'a name to call it by')
    .action(async (microvm: string, options: RemoteOptions & { readonly name?: string }) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, microvm);
        const body = { name: options.name };
        const response = await withProgress(`storing ${id}`, () =>
          client.extension(collectionOf(id), undefined, { method: 'POST', body }),
        );
        const checkpoint = (await response.json()) as Checkpoint;
        if (options.json) printJson(checkpoint);
        else print(checkpoint.checkpointId);
      });
    });
  examples(command, 'dormouse checkpoint 3f2a', 'dormouse checkpoint 3f2a --name before-migration');
}

function addList(program: Command): void {
  const command = remote(program.command('checkpoints'))
    .description('list the checkpoints of a microVM, or delete one')
    .argument('<microvm>', 'its id, or the start of it')
    .option('--delete <checkpoint>', 'the id or name of one to delete')
    .action(async (microvm: string, options: RemoteOptions & { readonly delete?: string }) => {
      await withClient(options, async (client) => {
        const collection = collectionOf(await resolveMicrovmId(client, microvm));
        if (options.delete !== undefined) {
          const path = `${collection}/${encodeURIComponent(options.delete)}`;
          await client.extension(path, undefined, { method: 'DELETE' });
          return;
        }
        const response = await client.extension(collection);
        const { checkpoints } = (await response.json()) as { readonly checkpoints: readonly Checkpoint[] };
        if (options.json) return printJson(checkpoints);
        const rows = checkpoints.map(({ checkpointId, name, sizeInBytes, createdAt }) => [
          checkpointId,
          name ?? '',
          bytes(sizeInBytes),
          age(new Date(createdAt * 1000)),
        ]);
        print(table(['CHECKPOINT', 'NAME', 'SIZE', 'AGE'], rows));
      });
    });
  examples(command, 'dormouse checkpoints 3f2a', 'dormouse checkpoints 3f2a --delete before-migration');
}

function addRollBack(program: Command): void {
  const command = remote(program.command('rollback'))
    .description('make a microVM what it was at a checkpoint; what it has become since is lost')
    .argument('<microvm>', 'its id, or the start of it')
    .argument('<checkpoint>', 'its id or name')
    .action(async (microvm: string, checkpoint: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, microvm);
        const path = `${collectionOf(id)}/${encodeURIComponent(checkpoint)}/rollback`;
        const response = await withProgress(`rolling back ${id}`, () =>
          client.extension(path, undefined, { method: 'POST' }),
        );
        const vm = (await response.json()) as { readonly state: string };
        if (options.json) printJson(vm);
        else print(`${id} is ${stateText(vm.state)}`);
      });
    });
  examples(command, 'dormouse rollback 3f2a before-migration');
}

function addCommit(program: Command): void {
  const command = remote(program.command('commit'))
    .description('make what a microVM is now a version of an image, to launch others from')
    .argument('<microvm>', 'its id, or the start of it')
    .option('--image <name>', "image to add it to, made if there is none (default: the microVM's own)")
    .action(async (microvm: string, options: RemoteOptions & { readonly image?: string }) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, microvm);
        const body = { imageName: options.image };
        const response = await withProgress(`storing ${id}`, () =>
          client.extension(`/dormouse/v1/microvms/${id}/image-version`, undefined, { method: 'POST', body }),
        );
        const version = (await response.json()) as {
          readonly imageArn: string;
          readonly imageVersion: string;
        };
        if (options.json) printJson(version);
        else print(`${version.imageArn} ${version.imageVersion}`);
      });
    });
  examples(command, 'dormouse commit 3f2a', 'dormouse commit 3f2a --image prepared');
}
