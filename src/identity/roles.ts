import { randomBytes } from 'node:crypto';
import {
  limitExceeded,
  malformedDocument,
  noSuchRole,
  noSuchRolePolicy,
  notAttached,
  roleHasPolicies,
  roleNameTaken,
} from '../errors/iam.ts';
import type { Clock } from '../model/clock.ts';
import { PolicyError, parsePolicy } from '../model/policy-document.ts';
import type { RoleRecord, RoleRepository } from '../store/roles.ts';
import { managedPolicy } from './managed-policies.ts';
import { mostRoles } from './role-limits.ts';

export interface Role extends RoleRecord {
  readonly path: string;
  readonly arn: string;
}

export interface NewRole {
  readonly roleName: string;
  readonly path: string;
  readonly description: string | null;
  readonly trustPolicy: string;
  readonly maximumSessionSeconds: number;
  readonly tags: Readonly<Record<string, string>>;
}

/** As at the service: all inline policies of a role together, in characters. */
const longestInline = 10_240;
const longestTrust = 4096;
const mostAttached = 20;
const mostTags = 50;
const idAlphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Roles as IAM has them. Methods throw {@link IamError}. */
export class Roles {
  readonly #rows: RoleRepository;
  readonly #accountId: string;
  readonly #clock: Pick<Clock, 'now'>;

  constructor(rows: RoleRepository, accountId: string, clock: Pick<Clock, 'now'>) {
    this.#rows = rows;
    this.#accountId = accountId;
    this.#clock = clock;
  }

  async create(input: NewRole): Promise<Role> {
    checkTrust(input.trustPolicy);
    checkTags(input.tags);
    if ((await this.#rows.list()).length >= mostRoles) throw limitExceeded('RolesPerAccount', mostRoles);
    const now = this.#clock.now();
    const role: RoleRecord = {
      ...input,
      roleId: `AROA${[...randomBytes(17)].map((byte) => idAlphabet.charAt(byte % 32)).join('')}`,
      inlinePolicies: {},
      attachedPolicies: [],
      createdAt: now,
      updatedAt: now,
    };
    if (!(await this.#rows.insert(role))) throw roleNameTaken(input.roleName);
    return this.#describe(role);
  }

  async list(): Promise<readonly Role[]> {
    return (await this.#rows.list()).map((role) => this.#describe(role));
  }

  async find(roleName: string): Promise<Role | undefined> {
    const role = await this.#rows.find(roleName);
    return role === undefined ? undefined : this.#describe(role);
  }

  async get(roleName: string): Promise<Role> {
    const role = await this.find(roleName);
    if (role === undefined) throw noSuchRole(roleName);
    return role;
  }

  async delete(roleName: string): Promise<void> {
    const removed = await this.#rows.remove(roleName, (role) => {
      if (role.attachedPolicies.length > 0) throw roleHasPolicies(true);
      if (Object.keys(role.inlinePolicies).length > 0) throw roleHasPolicies(false);
    });
    if (!removed) throw noSuchRole(roleName);
  }

  /** Changes description and longest session, where given. */
  async update(
    roleName: string,
    changes: Partial<Pick<RoleRecord, 'description' | 'maximumSessionSeconds'>>,
  ): Promise<void> {
    await this.#change(roleName, (role) => ({ ...role, ...changes }));
  }

  async setTrust(roleName: string, trustPolicy: string): Promise<void> {
    checkTrust(trustPolicy);
    await this.#change(roleName, (role) => ({ ...role, trustPolicy }));
  }

  /** What sessions may do that are out follows at once. */
  async putPolicy(roleName: string, policyName: string, document: string): Promise<void> {
    checkDocument(document);
    await this.#change(roleName, (role) => {
      const inlinePolicies = { ...role.inlinePolicies, [policyName]: document };
      const size = Object.values(inlinePolicies).reduce((sum, { length }) => sum + length, 0);
      if (size > longestInline) throw limitExceeded('InlinePolicySizePerRole', longestInline);
      return { ...role, inlinePolicies };
    });
  }

  async deletePolicy(roleName: string, policyName: string): Promise<void> {
    await this.#change(roleName, (role) => {
      if (!Object.hasOwn(role.inlinePolicies, policyName)) throw noSuchRolePolicy(policyName);
      const { [policyName]: _gone, ...inlinePolicies } = role.inlinePolicies;
      return { ...role, inlinePolicies };
    });
  }

  async attach(roleName: string, policyArn: string): Promise<void> {
    managedPolicy(policyArn);
    await this.#change(roleName, (role) => {
      const attachedPolicies = [...new Set([...role.attachedPolicies, policyArn])];
      if (attachedPolicies.length > mostAttached) throw limitExceeded('PoliciesPerRole', mostAttached);
      return { ...role, attachedPolicies };
    });
  }

  async detach(roleName: string, policyArn: string): Promise<void> {
    await this.#change(roleName, (role) => {
      if (!role.attachedPolicies.includes(policyArn)) throw notAttached(policyArn);
      return { ...role, attachedPolicies: role.attachedPolicies.filter((arn) => arn !== policyArn) };
    });
  }

  async tag(roleName: string, tags: RoleRecord['tags']): Promise<void> {
    await this.#change(roleName, (role) => {
      const all = { ...role.tags, ...tags };
      checkTags(all);
      return { ...role, tags: all };
    });
  }

  async untag(roleName: string, keys: readonly string[]): Promise<void> {
    await this.#change(roleName, (role) => ({
      ...role,
      tags: Object.fromEntries(Object.entries(role.tags).filter(([key]) => !keys.includes(key))),
    }));
  }

  async #change(roleName: string, change: (role: RoleRecord) => RoleRecord): Promise<void> {
    const changed = await this.#rows.change(roleName, this.#clock.now(), change);
    if (changed === undefined) throw noSuchRole(roleName);
  }

  #describe(role: RoleRecord): Role {
    const path = role.path ?? '/';
    return { ...role, path, arn: `arn:aws:iam::${this.#accountId}:role${path}${role.roleName}` };
  }
}

function checkDocument(document: string): void {
  try {
    parsePolicy(document);
  } catch (error) {
    if (error instanceof PolicyError) throw malformedDocument(error.message);
    throw error;
  }
}

/** Trust policies are kept, not evaluated: who may assume a role is said by the policies of who asks. */
function checkTrust(text: string): void {
  if (text.length > longestTrust) throw limitExceeded('ACLSizePerRole', longestTrust);
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch {
    throw malformedDocument('This policy contains invalid Json');
  }
  if (typeof document !== 'object' || document === null || !('Statement' in document)) {
    throw malformedDocument('Missing required field Statement');
  }
}

function checkTags(tags: RoleRecord['tags']): void {
  if (Object.keys(tags).length > mostTags) throw limitExceeded('TagsPerRole', mostTags);
}
