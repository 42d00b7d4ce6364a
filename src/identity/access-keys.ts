import { accessKeyNotFound, accessKeyTaken, tooManyAccessKeys } from '../errors.ts';
import type { Clock } from '../model/clock.ts';
import type { Permissions } from '../model/policy.ts';
import { parsePolicy } from '../model/policy-document.ts';
import { AccessKeyRepository, type AccessKeyRow } from '../store/access-keys.ts';
import type { Store } from '../store/database.ts';
import { checkPolicy } from './checked-policy.ts';
import { type AccessKey, newAccessKey, randomId } from './key-material.ts';
import type { SecretSealer } from './sealed-secret.ts';

/** A key as anyone who may list keys sees it. */
export interface AccessKeyDescription {
  readonly name: string;
  /** The principal its requests come from. */
  readonly arn: string;
  readonly accessKeyId: string;
  /** Policy document as it was given. */
  readonly policy: string;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  /** Epoch milliseconds; null while the first secret is in use. */
  readonly rotatedAt: number | null;
}

/** A key with its secret, which is told this once. */
export interface IssuedAccessKey extends AccessKeyDescription {
  readonly secretAccessKey: string;
}

/** What a signature is verified with, and what its maker may do. */
export interface KnownKey {
  readonly secretAccessKey: string;
  readonly principal: { readonly arn: string; readonly accountId: string; readonly userId: string };
  readonly permissions: Permissions;
}

export interface AccessKeysOptions {
  readonly store: Store;
  readonly sealer: SecretSealer;
  readonly accountId: string;
  readonly clock: Pick<Clock, 'now'>;
  readonly rootKey: AccessKey;
}

const mostKeys = 1000;

/** The root key, and the keys with policies. Every change is durable before it is told. */
export class AccessKeys {
  readonly #rows: AccessKeyRepository;
  readonly #options: AccessKeysOptions;
  readonly #root: KnownKey;

  constructor(options: AccessKeysOptions) {
    const { accountId, rootKey } = options;
    this.#rows = new AccessKeyRepository(options.store);
    this.#options = options;
    this.#root = {
      secretAccessKey: rootKey.secretAccessKey,
      principal: { arn: `arn:aws:iam::${accountId}:root`, accountId, userId: accountId },
      permissions: 'all',
    };
  }

  /** Undefined for an unknown key. */
  async lookup(accessKeyId: string): Promise<KnownKey | undefined> {
    const { sealer, accountId, rootKey } = this.#options;
    if (accessKeyId === rootKey.accessKeyId) return this.#root;
    const row = await this.#rows.find('access_key_id', accessKeyId);
    if (row === undefined) return undefined;
    return {
      secretAccessKey: sealer.open(row.sealed_secret, row.access_key_id),
      principal: { arn: this.#arn(row.name), accountId, userId: row.user_id },
      permissions: parsePolicy(row.policy),
    };
  }

  /** @throws {ServiceError} a malformed policy, a name that is taken, or too many keys */
  async create(name: string, policy: string): Promise<IssuedAccessKey> {
    checkPolicy(policy);
    if ((await this.#rows.count()) >= mostKeys) throw tooManyAccessKeys(mostKeys);
    const key = newAccessKey();
    const row: AccessKeyRow = {
      name,
      user_id: randomId('AIDA'),
      ...this.#sealed(key),
      policy,
      created_at: this.#options.clock.now(),
      rotated_at: null,
    };
    if (!(await this.#rows.insert(row))) throw accessKeyTaken(name);
    return { ...this.#describe(row), secretAccessKey: key.secretAccessKey };
  }

  async list(): Promise<readonly AccessKeyDescription[]> {
    return (await this.#rows.list()).map((row) => this.#describe(row));
  }

  /**
   * Gives the key a new id and a new secret. The old ones, and the sessions made with them, end at once.
   * @throws {ServiceError} no such key
   */
  async rotate(name: string): Promise<IssuedAccessKey> {
    const row = await this.#rows.find('name', name);
    if (row === undefined) throw accessKeyNotFound(name);
    const key = newAccessKey();
    const change = { ...this.#sealed(key), rotated_at: this.#options.clock.now() };
    if (!(await this.#rows.replaceSecret(name, change))) throw accessKeyNotFound(name);
    return { ...this.#describe({ ...row, ...change }), secretAccessKey: key.secretAccessKey };
  }

  /**
   * The key, and the sessions made with it, end at once.
   * @throws {ServiceError} no such key
   */
  async delete(name: string): Promise<void> {
    if (!(await this.#rows.remove(name))) throw accessKeyNotFound(name);
  }

  #sealed({ accessKeyId, secretAccessKey }: AccessKey) {
    const sealed = this.#options.sealer.seal(secretAccessKey, accessKeyId);
    return { access_key_id: accessKeyId, sealed_secret: sealed };
  }

  #describe(row: AccessKeyRow): AccessKeyDescription {
    return {
      name: row.name,
      arn: this.#arn(row.name),
      accessKeyId: row.access_key_id,
      policy: row.policy,
      createdAt: row.created_at,
      rotatedAt: row.rotated_at,
    };
  }

  #arn(name: string): string {
    return `arn:aws:iam::${this.#options.accountId}:user/${name}`;
  }
}
