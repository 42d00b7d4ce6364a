import type { EgressPolicyDocument, NamedEgressPolicy } from '../model/egress-policy.ts';
import type { Store } from './database.ts';
import type { EgressPoliciesTable } from './schema.ts';

/** Rows of egress policies. */
export class EgressPolicyRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async put(policy: NamedEgressPolicy): Promise<void> {
    const row = toRow(policy);
    await this.#store
      .insertInto('egress_policies')
      .values(row)
      .onConflict((conflict) => conflict.column('name').doUpdateSet(row))
      .execute();
  }

  async list(): Promise<readonly NamedEgressPolicy[]> {
    return (await this.#store.selectFrom('egress_policies').selectAll().execute()).map(fromRow);
  }

  async remove(name: string): Promise<void> {
    await this.#store.deleteFrom('egress_policies').where('name', '=', name).execute();
  }
}

function toRow({ name, createdAt, updatedAt, ...document }: NamedEgressPolicy): EgressPoliciesTable {
  return { name, document: JSON.stringify(document), created_at: createdAt, updated_at: updatedAt };
}

/** The store is ours and checked on the way in, so its JSON is taken as it stands. */
function fromRow(row: EgressPoliciesTable): NamedEgressPolicy {
  const document = JSON.parse(row.document) as EgressPolicyDocument;
  return { ...document, name: row.name, createdAt: row.created_at, updatedAt: row.updated_at };
}
