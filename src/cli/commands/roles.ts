import type { Command } from 'commander';
import { age, print, printJson, table } from '../output.ts';
import { examples, type RemoteOptions, remote, withClient } from '../remote-command.ts';
import { readText } from '../text-input.ts';

/** As `/dormouse/v1/roles` tells of them. */
interface Role {
  readonly roleName: string;
  readonly arn: string;
  readonly policy: string;
  /** Epoch seconds. */
  readonly updatedAt: number;
}

interface SetOptions extends RemoteOptions {
  readonly policy: string;
}

const rolesPath = '/dormouse/v1/roles';

export function addRoles(program: Command): void {
  const roles = program
    .command('roles')
    .description('what microVMs may do that run under an execution role: nothing, until a policy says so');
  addSet(roles);
  addList(roles);
  addDelete(roles);
}

function addSet(roles: Command): void {
  const command = remote(roles.command('set'))
    .description('give a role a policy, or replace it; credentials that are out follow it at once')
    .argument('<name>', 'name of the role: the last part of its ARN')
    .requiredOption('--policy <file>', 'policy document (JSON) of what it may do; - reads standard input')
    .action(async (name: string, options: SetOptions) => {
      const body = { policy: await readText(options.policy, 'policy') };
      await withClient(options, async (client) => {
        const response = await client.extension(pathOf(name), undefined, { method: 'PUT', body });
        const role = (await response.json()) as Role;
        if (options.json) printJson(role);
        else print(role.arn);
      });
    });
  examples(command, 'dormouse roles set app --policy app-policy.json');
}

function addList(roles: Command): void {
  const command = remote(roles.command('list'))
    .description('list the roles that have a policy')
    .action(async (options: RemoteOptions) => {
      await withClient(options, async (client) => {
        const response = await client.extension(rolesPath);
        const { roles: items } = (await response.json()) as { readonly roles: readonly Role[] };
        if (options.json) printJson(items);
        else print(roleTable(items));
      });
    });
  examples(command, 'dormouse roles list', 'dormouse roles list --json');
}

function addDelete(roles: Command): void {
  const command = remote(roles.command('delete'))
    .description('take the policy from a role, which then may do nothing')
    .argument('<name>', 'name of the role')
    .action(async (roleName: string, options: RemoteOptions) => {
      await withClient(options, async (client) => {
        await client.extension(pathOf(roleName), undefined, { method: 'DELETE' });
        if (options.json) printJson({ roleName });
        else print(`${roleName} may do nothing now`);
      });
    });
  examples(command, 'dormouse roles delete app');
}

function pathOf(roleName: string): string {
  return `${rolesPath}/${encodeURIComponent(roleName)}`;
}

function roleTable(roles: readonly Role[]): string {
  return table(
    ['NAME', 'ARN', 'CHANGED'],
    roles.map(({ roleName, arn, updatedAt }) => [roleName, arn, age(new Date(updatedAt * 1000))]),
  );
}
