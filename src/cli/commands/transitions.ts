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
  /** The states on the way there: in any other one, what was asked for is over. */
  readonly underWay: readonly string[];
  readonly request: (client: Client, microvmIdentifier: string) => Promise<unknown>;
  /** What it means that the microVM lives in another state than the one asked for. @throws where that was not reached */
  readonly otherwise?: (microvmId: string, state: string) => string;
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
  underWay: ['SUSPENDING'],
  request: async (client, microvmIdentifier) =>
    await (await client.microvms()).send(new SuspendMicrovmCommand({ microvmIdentifier })),
  otherwise: (microvmId, state) => {
    throw new CliError(
      `${microvmId} is ${state}: it was woken again, or could not be put to sleep.`,
      `See: dormouse events --microvm ${microvmId}`,
    );
  },
};

const resume: Transition = {
  verb: 'resuming',
  target: 'RUNNING',
  // The call is answered once the microVM runs.
  underWay: [],
  request: async (client, microvmIdentifier) =>
    await (await client.microvms()).send(new ResumeMicrovmCommand({ microvmIdentifier })),
  otherwise: (microvmId) => `${microvmId} was woken, and has been put to sleep again since.`,
};

const terminate: Transition = {
  verb: 'terminating',
  target: 'TERMINATED',
  underWay: ['PENDING', 'RUNNING', 'SUSPENDING', 'SUSPENDED', 'TERMINATING'],
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

/** Asks for a transition; with `wait` until it is over, even where something else has changed the state since. */
async function transit(client: Client, microvmId: string, wait: boolean, transition: Transition) {
  await transition.request(client, microvmId);
  const microvms = await client.microvms();
  const { state, stateReason } = await poll(pollMs, async () => {
    const microvm = await microvms.send(new GetMicrovmCommand({ microvmIdentifier: microvmId }));
    return wait && transition.underWay.includes(microvm.state ?? '') ? undefined : microvm;
  });
  if (!wait || state === transition.target) return { microvmId, state };
  if (state === 'TERMINATING' || state === 'TERMINATED') {
    throw new CliError(`${microvmId} has terminated: ${stateReason ?? 'no reason given'}`);
  }
  const remark = transition.otherwise?.(microvmId, state ?? '');
  if (remark !== undefined) note(remark);
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
