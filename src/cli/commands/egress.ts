import type { Command } from 'commander';
import { collect } from '../arguments.ts';
import { CliError, UsageError } from '../errors.ts';
import { resolveMicrovmId } from '../identify.ts';
import { age, note, print, printJson, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { readText } from '../text-input.ts';

/** As `/dormouse/v1/egress-policies` tells of them. */
interface Policy {
  readonly policyName: string;
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly default: string;
}

interface SetOptions extends RemoteOptions {
  readonly allow?: readonly string[];
  readonly deny?: readonly string[];
  readonly default?: string;
  readonly file?: string;
}

const policiesPath = '/dormouse/v1/egress-policies';

export function addEgress(program: Command): void {
  const egress = program
    .command('egress')
    .description('egress policies: what the microVMs of a network connector reach');
  addSet(egress);
  addList(egress);
  addShow(egress);
  addDelete(egress);
  addRefused(egress);
}

function addSet(egress: Command): void {
  const command = remote(egress.command('set'))
    .description('make an egress policy, or replace it; running microVMs follow it at once')
    .argument('<id>', 'the subnet-… or sg-… id that connectors refer to it by')
    .option('--allow <rule>', 'network or name that is open, with ports or without; may be repeated', collect)
    .option(
      '--deny <rule>',
      'network or name that is closed, whatever else is open; may be repeated',
      collect,
    )
    .option('--default <verdict>', 'about the rest of the public Internet: allow or deny (default: deny)')
    .option('--file <file>', 'JSON with allow, deny and default instead; - reads standard input')
    .action(async (id: string, options: SetOptions) => {
      const body = await documentOf(options);
      await withClient(options, async (client) => {
        const response = await client.extension(pathOf(id), undefined, { method: 'PUT', body });
        show((await response.json()) as Policy, options);
      });
    });
  examples(
    command,
    "dormouse egress set subnet-web --allow '*.github.com:443' --allow 10.1.0.0/16:5432",
    'dormouse egress set sg-public --default allow --deny ads.example',
    'dormouse egress set subnet-offline',
    'dormouse egress set subnet-web --file web.json',
  );
}

function addList(egress: Command): void {
  const command = remote(egress.command('list'))
    .description('list egress policies')
    .action(async (options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const response = await client.extension(policiesPath);
        const { policies } = (await response.json()) as { readonly policies: readonly Policy[] };
        if (options.json) printJson(policies);
        else print(policyTable(policies));
      });
    });
  examples(command, 'dormouse egress list', 'dormouse egress list --json');
}

function addShow(egress: Command): void {
  const command = remote(egress.command('show'))
    .description('show the rules of an egress policy')
    .argument('<id>', 'id of the policy')
    .action(async (id: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        show((await (await client.extension(pathOf(id))).json()) as Policy, options);
      });
    });
  examples(command, 'dormouse egress show subnet-web', 'dormouse egress show subnet-web --json > web.json');
}

function addDelete(egress: Command): void {
  const command = remote(egress.command('delete'))
    .description('remove an egress policy that no connector refers to')
    .argument('<id>', 'id of the policy')
    .action(async (id: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        await client.extension(pathOf(id), undefined, { method: 'DELETE' });
        if (options.json) printJson({ policyName: id });
        else print(`${id} is deleted`);
      });
    });
  examples(command, 'dormouse egress delete subnet-web');
}

/** As `…/egress-refusals` of a microVM tells of them. */
interface Refusal {
  readonly kind: string;
  readonly target: string;
  readonly count: number;
  /** Epoch seconds. */
  readonly lastAt: number;
}

function addRefused(egress: Command): void {
  const command = remote(egress.command('refused'))
    .description('show what a microVM wanted to reach lately and its policies refused')
    .argument('<vm>', 'id of the microVM, or the start of it')
    .action(async (vm: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const id = await resolveMicrovmId(client, vm);
        const response = await client.extension(`/dormouse/v1/microvms/${id}/egress-refusals`);
        const { refusals } = (await response.json()) as { readonly refusals: readonly Refusal[] };
        if (options.json) printJson(refusals);
        else if (refusals.length === 0) note('Nothing was refused since the server started.');
        else print(refusalTable(refusals));
      });
    });
  examples(command, 'dormouse egress refused 3f2a');
}

function refusalTable(refusals: readonly Refusal[]): string {
  return table(
    ['KIND', 'TARGET', 'TIMES', 'LAST'],
    refusals.map(({ kind, target, count, lastAt }) => [
      kind,
      target,
      String(count),
      age(new Date(lastAt * 1000)),
    ]),
  );
}

function pathOf(id: string): string {
  return `${policiesPath}/${encodeURIComponent(id)}`;
}

/** Rules of the flags, or of the file: what `show --json` printed may be given back. */
async function documentOf({ allow, deny, default: otherwise, file }: SetOptions): Promise<object> {
  if (file === undefined) return { allow, deny, default: otherwise };
  if (allow !== undefined || deny !== undefined || otherwise !== undefined) {
    throw new UsageError('--file stands for --allow, --deny and --default; give it alone.');
  }
  const text = await readText(file, 'egress policy');
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new CliError(`The egress policy ${file} is not JSON.`, undefined, error);
  }
  if (typeof document !== 'object' || document === null) {
    throw new CliError(`The egress policy ${file} has to be an object.`);
  }
  const { allow: opened, deny: closed, default: rest, ...others } = document as Partial<Policy>;
  const unknown = Object.keys(others).find((name) => !shownBesides.has(name));
  if (unknown !== undefined) {
    throw new CliError(
      `The egress policy ${file} has a member that is not known: ${unknown}.`,
      'A policy has allow, deny and default.',
    );
  }
  return { allow: opened, deny: closed, default: rest };
}

const shownBesides: ReadonlySet<string> = new Set(['policyName', 'createdAt', 'updatedAt']);

function show(policy: Policy, options: RemoteOptions): void {
  if (options.json) {
    printJson(policy);
    return;
  }
  print(policy.policyName);
  for (const rule of policy.deny) print(`  deny   ${rule}`);
  for (const rule of policy.allow) print(`  allow  ${rule}`);
  print(
    `  ${policy.default.padEnd(5)}  ${policy.default === 'allow' ? 'the rest of the Internet' : 'all else'}`,
  );
}

function policyTable(policies: readonly Policy[]): string {
  return table(
    ['ID', 'ALLOW', 'DENY', 'DEFAULT'],
    policies.map(({ policyName, allow, deny, default: otherwise }) => [
      policyName,
      summary(allow),
      summary(deny),
      otherwise,
    ]),
  );
}

/** The first rules; a policy may have very many. */
function summary(rules: readonly string[]): string {
  if (rules.length === 0) return '-';
  return rules.slice(0, 3).join(' ') + (rules.length > 3 ? ` +${rules.length - 3}` : '');
}
