import { roleNotFound, tooManyRoles } from '../errors/roles.ts';
import type { Clock } from '../model/clock.ts';
import type { Permissions, Policy } from '../model/policy.ts';
import { parsePolicy } from '../model/policy-document.ts';
import type { RoleRecord, RoleRepository } from '../store/roles.ts';
import { checkPolicy } from './checked-policy.ts';
import { managedPolicy } from './managed-policies.ts';
import { mostRoles } from './role-limits.ts';

export interface RolePolicy {
  readonly roleName: string;
  readonly arn: string;
  /** Policy document as it was given; of a role with several policies, one with the statements of all. */
  readonly policy: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What a role may do that nobody has given a policy. */
const nothing: Permissions = { statements: [] };

/** What roles may do. One without a policy may do nothing. */
export class RolePolicies {
  readonly #rows: RoleRepository;
  readonly #accountId: string;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(rows: RoleRepository, accountId: string, clock: Pick<Clock, 'now'>) {
    this.#rows = rows;
    this.#accountId = accountId;
    this.#clock = clock;
  }

  /**
   * Gives a role a policy, which replaces all that it had; credentials that are out follow it at once.
   * @throws {ServiceError} a malformed policy, or too many roles
   */
  async put(roleName: string, policy: string): Promise<RolePolicy> {
    checkPolicy(policy);
    const known = await this.#rows.list();
    const isNew = known.every((role) => role.roleName !== roleName);
    if (isNew && known.length >= mostRoles) throw tooManyRoles(mostRoles);
    await this.#rows.replacePolicies(roleName, policy, this.#clock.now());
    const role = await this.#rows.find(roleName);
    if (role === undefined) throw roleNotFound(roleName);
    return this.#describe(role);
  }

  async list(): Promise<readonly RolePolicy[]> {
    return (await this.#rows.list()).map((role) => this.#describe(role));
  }

  /** @throws {ServiceError} no such role */
  async delete(roleName: string): Promise<void> {
    if (!(await this.#rows.remove(roleName, () => undefined))) throw roleNotFound(roleName);
  }

  /**
   * Undefined for a role that nobody has made or given a policy, and for one of another account. A role with a path is
   * meant by its whole ARN only: the name alone would let whoever may pass roles of one path pass one of another.
   */
  async find(roleArn: string): Promise<Permissions | undefined> {
    const [, , , , account, resource = ''] = roleArn.split(':');
    if (account !== this.#accountId) return undefined;
    const slash = resource.lastIndexOf('/') + 1;
    const role = await this.#rows.find(resource.slice(slash));
    if (role === undefined) return undefined;
    if (role.path !== undefined && resource.slice('role'.length, slash) !== role.path) return undefined;
    return permitted(role);
  }

  async permissionsOf(roleArn: string): Promise<Permissions> {
    return (await this.find(roleArn)) ?? nothing;
  }

  #describe(role: RoleRecord): RolePolicy {
    const { roleName, path = '/', createdAt, updatedAt } = role;
    const arn = `arn:aws:iam::${this.#accountId}:role${path}${roleName}`;
    return { roleName, arn, policy: combined(documentsOf(role)), createdAt, updatedAt };
  }
}

function permitted(role: RoleRecord): Policy {
  return { statements: documentsOf(role).flatMap((document) => parsePolicy(document).statements) };
}

function documentsOf({ inlinePolicies, attachedPolicies }: RoleRecord): readonly string[] {
  return [...Object.values(inlinePolicies), ...attachedPolicies.map(managedPolicy)];
}

function combined(documents: readonly string[]): string {
  const [only, ...others] = documents;
  if (only !== undefined && others.length === 0) return only;
  const statements = documents.flatMap(
    (document) => (JSON.parse(document) as { readonly Statement: unknown }).Statement,
  );
  return JSON.stringify({ Version: '2012-10-17', Statement: statements });
}
