import {
  DeleteMicrovmImageCommand,
  GetMicrovmCommand,
  ResumeMicrovmCommand,
  SuspendMicrovmCommand,
  TerminateMicrovmCommand,
} from '@aws-sdk/client-lambda-microvms';
import type { Command } from 'commander';
import type { Client } from '../client.ts';
import { CliError } from '../errors.ts';
import { imageArnOf, resolveMicrovmId } from '../identify.ts';
import { note, print, printJson, stateText } from '../output.ts';
import { withProgress } from '../progress.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { poll } from '../wait.ts';

interface Transition {
  readonly verb: string;
  readonly target: string;
  readonly request: (client: Client, microvmIdentifier: string) => Promise<unknown>;
}

interface TransitionOptions extends RemoteOptions {
  readonly wait: boolean;
}

interface RemoveOptions extends TransitionOptions {
  readonly image?: true;
}

const pollMs = 50;

const suspend: Transition = {
  verb: 'suspending',
  target: 'SUSPENDED',
  request: async (client, microvmIdentifier) =>
    await (await client.microvms()).send(new SuspendMicrovmCommand({ microvmIdentifier })),
};

const resume: Transition = {
  verb: 'resuming',
  target: 'RUNNING',
  request: async (client, microvmIdentifier) =>
    await (await client.microvms()).send(new ResumeMicrovmCommand({ microvmIdentifier })),
};

const terminate: Transition = {
  verb: 'terminating',
  target: 'TERMINATED',
  request: async (client, microvmIdentifier) =>
    await (await client.microvms()).send(new TerminateMicrovmCommand({ microvmIdentifier })),
};

export function addTransitions(program: Command): void {
  examples(
    transitionCommand(
      program,
      'suspend',
      'put microVMs to sleep: memory and disk go to storage, RAM is freed',
      suspend,
    ),
    'dormouse suspend 3f2a',
  );
  examples(
    transitionCommand(program, 'resume', 'wake microVMs where they stopped', resume),
    'dormouse resume 3f2a',
  );
  const remove = remote(program.command('rm'))
    .description('terminate microVMs, or delete images')
    .argument('<name...>', 'ids or the start of them; names with --image')
    .option('--image', 'delete images instead')
    .option('--no-wait', 'return at once')
    .action(async (names: string[], options: RemoveOptions) => {
      await withClient(options, async (client) => {
        if (options.image) await removeImages(client, names, options);
        else await transitAll(client, names, options, terminate);
      });
    });
  examples(remove, 'dormouse rm 3f2a', 'dormouse rm --image counter');
}

function transitionCommand(
  program: Command,
  name: string,
  description: string,
  transition: Transition,
): Command {
  return remote(program.command(name))
    .description(description)
    .argument('<microvm...>', 'ids, or the start of them')
    .option('--no-wait', 'return at once')
    .action(async (names: string[], options: TransitionOptions) => {
      await withClient(options, async (client) => await transitAll(client, names, options, transition));
    });
}

async function transitAll(
  client: Client,
  names: readonly string[],
  options: TransitionOptions,
  transition: Transition,
): Promise<void> {
  const ids: string[] = [];
  for (const name of names) ids.push(await resolveMicrovmId(client, name));
  const results = await withProgress(`${transition.verb} ${ids.join(', ')}`, async () =>
    Promise.allSettled(ids.map(async (id) => await transit(client, id, options.wait, transition))),
  );
  const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (options.json) printJson(done);
  else for (const { microvmId, state } of done) print(`${microvmId}  ${stateText(state)}`);
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  for (const failure of failures.slice(1)) note(failure instanceof Error ? failure.message : String(failure));
  if (failures.length > 0) throw failures[0];
}

async function transit(client: Client, microvmId: string, wait: boolean, transition: Transition) {
  await transition.request(client, microvmId);
  const microvms = await client.microvms();
  const state = await poll(pollMs, async () => {
    const microvm = await microvms.send(new GetMicrovmCommand({ microvmIdentifier: microvmId }));
    if (!wait || microvm.state === transition.target) return microvm.state;
    if (microvm.state === 'TERMINATED') {
      throw new CliError(`${microvmId} has terminated: ${microvm.stateReason ?? 'no reason given'}`);
    }
    return undefined;
  });
  return { microvmId, state };
}

async function removeImages(client: Client, names: readonly string[], options: RemoteOptions): Promise<void> {
  const microvms = await client.microvms();
  const removed: string[] = [];
  for (const name of names) {
    await microvms.send(new DeleteMicrovmImageCommand({ imageIdentifier: await imageArnOf(client, name) }));
    removed.push(name);
    if (!options.json) print(`${name}  ${stateText('DELETING')}`);
  }
  if (options.json) printJson(removed.map((name) => ({ name, state: 'DELETING' })));
}
