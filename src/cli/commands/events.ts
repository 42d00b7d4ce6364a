import type { Command } from 'commander';
import { parseCount } from '../arguments.ts';
import { type EventFilterOptions, eventFilterOf, withEventFilter } from '../event-filter.ts';
import { type EventMessage, readEvents } from '../event-stream.ts';
import { imageName } from '../identify.ts';
import { harmless, note, print, stateText, style } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';

interface EventsOptions extends RemoteOptions, EventFilterOptions {
  readonly follow?: true;
  readonly after?: number;
}

export function addEvents(program: Command): void {
  const command = withEventFilter(remote(program.command('events')))
    .description('changes of state of microVMs, images, versions and builds')
    .option('-f, --follow', 'go on as they come; without --after, start with what comes next')
    .option('--after <sequence>', 'only what came after this event', parseCount)
    .action(events);
  examples(
    command,
    'dormouse events',
    'dormouse events -f --type "microvm.*"',
    'dormouse events -f --image counter --json',
  );
}

async function events(options: EventsOptions): Promise<void> {
  await withClient(options, async (client) => {
    const { follow = false } = options;
    const query = {
      ...(await eventFilterOf(client, options)),
      after: options.after ?? (follow ? undefined : 0),
      follow,
      onGap: (next: number) => note(`Events before ${next} are not kept any more.`),
    };
    for await (const event of readEvents(client, query)) {
      print(options.json ? JSON.stringify(event) : describe(event));
    }
  });
}

function describe(event: EventMessage): string {
  const { time, type, sequence, from, to, reason } = event;
  const change = from === null ? stateText(to) : `${from} → ${stateText(to)}`;
  const when = style(new Date(time * 1000).toISOString(), 'dim');
  const why = reason === null ? '' : `  ${style(harmless(reason), 'dim')}`;
  return `${when}  ${sequence}  ${type.split('.')[0]}  ${nameOf(event)}  ${change}${why}`;
}

function nameOf({ microvmId, imageArn, imageVersion, buildId }: EventMessage): string {
  if (microvmId !== null) return microvmId;
  const name = imageVersion === null ? imageName(imageArn) : `${imageName(imageArn)}:${imageVersion}`;
  return buildId === null ? name : `${name} ${buildId}`;
}
