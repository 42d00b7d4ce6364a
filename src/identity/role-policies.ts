import { roleNotFound, tooManyRoles } from '../errors/roles.ts';
import type { Clock } from '../model/clock.ts';
import type { Permissions } from '../model/policy.ts';
import { parsePolicy } from '../model/policy-document.ts';
import type { Store } from '../store/database.ts';
import { RolePolicyRepository } from '../store/role-policies.ts';
import type { RolePoliciesTable } from '../store/schema.ts';
import { checkPolicy } from './checked-policy.ts';

export interface RolePolicy {
  readonly roleName: string;
  readonly arn: string;
  /** Policy document as it was given. */
  readonly policy: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface RolePoliciesOptions {
  readonly store: Store;
  readonly accountId: string;
  readonly clock: Pick<Clock, 'now'>;
}

const mostRoles = 1000;
/** What a role may do that nobody has given a policy. */
const nothing: Permissions = { statements: [] };

/** What roles may do. A role is its name; one without a policy may do nothing. */
export class RolePolicies {
  readonly #rows: RolePolicyRepository;
  readonly #options: RolePoliciesOptions;

  constructor(options: RolePoliciesOptions) {
    this.#rows = new RolePolicyRepository(options.store);
    this.#options = options;
  }

  /**
   * Gives a role a policy or replaces it; credentials that are out follow it at once.
   * @throws {ServiceError} a malformed policy, or too many roles
   */
  async put(roleName: string, policy: string): Promise<RolePolicy> {
    checkPolicy(policy);
    const known = await this.#rows.list();
    const earlier = known.find((row) => row.role_name === roleName);
    if (earlier === undefined && known.length >= mostRoles) throw tooManyRoles(mostRoles);
    const now = this.#options.clock.now();
    const row = { role_name: roleName, policy, created_at: earlier?.created_at ?? now, updated_at: now };
    await this.#rows.put(row);
    return this.#describe(row);
  }

  async list(): Promise<readonly RolePolicy[]> {
    return (await this.#rows.list()).map((row) => this.#describe(row));
  }

  /** @throws {ServiceError} no such role */
  async delete(roleName: string): Promise<void> {
    if (!(await this.#rows.remove(roleName))) throw roleNotFound(roleName);
  }

  /** Undefined for a role without a policy, and for one of another account. */
  async find(roleArn: string): Promise<Permissions | undefined> {
    const [, , , , account, path = ''] = roleArn.split(':');
    if (account !== this.#options.accountId) return undefined;
    const row = await this.#rows.find(path.slice(path.lastIndexOf('/') + 1));
    return row === undefined ? undefined : parsePolicy(row.policy);
  }

  async permissionsOf(roleArn: string): Promise<Permissions> {
    return (await this.find(roleArn)) ?? nothing;
  }

  #describe(row: RolePoliciesTable): RolePolicy {
    return {
      roleName: row.role_name,
      arn: `arn:aws:iam::${this.#options.accountId}:role/${row.role_name}`,
      policy: row.policy,
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    };
  }
}
