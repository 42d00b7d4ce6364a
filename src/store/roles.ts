import type { Selectable } from 'kysely';
import type { Store } from './database.ts';
import { held } from './dialect.ts';
import type { IamRolesTable, RolePoliciesTable } from './schema.ts';

/** A role with all that says what it may do. Times are epoch milliseconds. */
export interface RoleRecord {
  readonly roleName: string;
  readonly roleId: string;
  /** Begins and ends with a slash; undefined for a role that was only given a policy, which has any path. */
  readonly path: string | undefined;
  readonly description: string | null;
  readonly trustPolicy: string;
  readonly maximumSessionSeconds: number;
  /** Documents as they were given, by name. */
  readonly inlinePolicies: Readonly<Record<string, string>>;
  /** ARNs of managed policies. */
  readonly attachedPolicies: readonly string[];
  readonly tags: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** Name of the policy that the server's own interface gives a role. */
export const ownPolicyName = 'dormouse';

/** Stands in a row for the path of a role that has any. */
const anyPath = '';

/** What a role is like that nobody has made as one. */
export interface RoleDefaults {
  readonly trustPolicy: string;
  readonly maximumSessionSeconds: number;
}

/**
 * Roles from two tables: what was made of a role through IAM, and the policy that the server's own interface gave
 * it, which is one of the role's policies like others.
 */
export class RoleRepository {
  readonly #store: Store;
  readonly #defaults: RoleDefaults;

  constructor(store: Store, defaults: RoleDefaults) {
    this.#store = store;
    this.#defaults = defaults;
  }

  async list(): Promise<readonly RoleRecord[]> {
    const made = await this.#store.selectFrom('iam_roles').selectAll().execute();
    const given = await this.#store.selectFrom('role_policies').selectAll().execute();
    const byName = new Map(given.map((row) => [row.role_name, row]));
    const roles = made.map((row) => this.#join(row, byName.get(row.role_name)));
    const known = new Set(made.map((row) => row.role_name));
    const others = given.filter((row) => !known.has(row.role_name)).map((row) => this.#join(undefined, row));
    return [...roles, ...others].sort((a, b) => (a.roleName < b.roleName ? -1 : 1));
  }

  async find(roleName: string): Promise<RoleRecord | undefined> {
    return await this.#find(this.#store, roleName);
  }

  /** Says whether there was none of the name yet. */
  async insert(role: RoleRecord): Promise<boolean> {
    return await this.#store.transaction().execute(async (trx) => {
      if ((await this.#find(trx, role.roleName)) !== undefined) return false;
      const result = await trx
        .insertInto('iam_roles')
        .values(toRow(role))
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      return (result.numInsertedOrUpdatedRows ?? 0n) > 0n;
    });
  }

  /**
   * Changes a role; `change` may throw to refuse.
   * @returns the role as it is then; undefined where there is none
   */
  async change(
    roleName: string,
    now: number,
    change: (role: RoleRecord) => RoleRecord,
  ): Promise<RoleRecord | undefined> {
    return await this.#store.transaction().execute(async (trx) => {
      const found = await this.#find(trx, roleName);
      if (found === undefined) return undefined;
      const changed = { ...change(found), updatedAt: now };
      const row = toRow(changed);
      await trx
        .insertInto('iam_roles')
        .values(row)
        .onConflict((conflict) => conflict.column('role_name').doUpdateSet(row))
        .execute();
      await writeOwnPolicy(trx, changed, now);
      return changed;
    });
  }

  /** Removes a role if `check`, which may throw to refuse, lets it. Says whether there was one. */
  async remove(roleName: string, check: (role: RoleRecord) => void): Promise<boolean> {
    return await this.#store.transaction().execute(async (trx) => {
      const found = await this.#find(trx, roleName);
      if (found === undefined) return false;
      check(found);
      await trx.deleteFrom('role_policies').where('role_name', '=', roleName).execute();
      await trx.deleteFrom('iam_roles').where('role_name', '=', roleName).execute();
      return true;
    });
  }

  /** Makes a policy the only one of a role, which need not be there. */
  async replacePolicies(roleName: string, policy: string, now: number): Promise<void> {
    await this.#store.transaction().execute(async (trx) => {
      await trx
        .updateTable('iam_roles')
        .set({ inline_policies: '{}', attached_policies: '[]' })
        .where('role_name', '=', roleName)
        .execute();
      await putOwnPolicy(trx, roleName, policy, now);
    });
  }

  async #find(store: Store, roleName: string): Promise<RoleRecord | undefined> {
    const forMade = store.selectFrom('iam_roles').selectAll().where('role_name', '=', roleName);
    const forGiven = store.selectFrom('role_policies').selectAll().where('role_name', '=', roleName);
    const made = await (store.isTransaction ? held(store, forMade) : forMade).executeTakeFirst();
    const given = await (store.isTransaction ? held(store, forGiven) : forGiven).executeTakeFirst();
    return made === undefined && given === undefined ? undefined : this.#join(made, given);
  }

  #join(made: Selectable<IamRolesTable> | undefined, given: RoleRow | undefined): RoleRecord {
    const own = given === undefined ? {} : { [ownPolicyName]: given.policy };
    if (made !== undefined) {
      const role = fromRow(made);
      const updatedAt = Math.max(role.updatedAt, given?.updated_at ?? 0);
      return { ...role, updatedAt, inlinePolicies: { ...role.inlinePolicies, ...own } };
    }
    const name = given?.role_name ?? '';
    return {
      roleName: name,
      roleId: name,
      path: undefined,
      description: null,
      ...this.#defaults,
      inlinePolicies: own,
      attachedPolicies: [],
      tags: {},
      createdAt: given?.created_at ?? 0,
      updatedAt: given?.updated_at ?? 0,
    };
  }
}

type RoleRow = Selectable<RolePoliciesTable>;

async function writeOwnPolicy(trx: Store, role: RoleRecord, now: number): Promise<void> {
  const policy = role.inlinePolicies[ownPolicyName];
  if (policy !== undefined) await putOwnPolicy(trx, role.roleName, policy, now);
  else await trx.deleteFrom('role_policies').where('role_name', '=', role.roleName).execute();
}

async function putOwnPolicy(trx: Store, role_name: string, policy: string, now: number): Promise<void> {
  await trx
    .insertInto('role_policies')
    .values({ role_name, policy, created_at: now, updated_at: now })
    .onConflict((conflict) => conflict.column('role_name').doUpdateSet({ policy, updated_at: now }))
    .execute();
}

function fromRow(row: Selectable<IamRolesTable>): RoleRecord {
  return {
    roleName: row.role_name,
    roleId: row.role_id,
    path: row.path === anyPath ? undefined : row.path,
    description: row.description,
    trustPolicy: row.trust_policy,
    maximumSessionSeconds: row.maximum_session_seconds,
    inlinePolicies: JSON.parse(row.inline_policies) as RoleRecord['inlinePolicies'],
    attachedPolicies: JSON.parse(row.attached_policies) as RoleRecord['attachedPolicies'],
    tags: JSON.parse(row.tags) as RoleRecord['tags'],
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

function toRow(role: RoleRecord): Selectable<IamRolesTable> {
  const { [ownPolicyName]: _own, ...inline } = role.inlinePolicies;
  return {
    role_name: role.roleName,
    role_id: role.roleId,
    path: role.path ?? anyPath,
    description: role.description,
    trust_policy: role.trustPolicy,
    maximum_session_seconds: role.maximumSessionSeconds,
    inline_policies: JSON.stringify(inline),
    attached_policies: JSON.stringify(role.attachedPolicies),
    tags: JSON.stringify(role.tags),
    created_at: role.createdAt,
    updated_at: role.updatedAt,
  };
}
