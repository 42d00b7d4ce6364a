import type { Connector, ConnectorConfiguration, ConnectorState, ConnectorTags } from '../model/connector.ts';
import { dropClaims, recordClaim, type TokenClaim } from './client-tokens.ts';
import type { Store } from './database.ts';
import { liveStates } from './microvms.ts';
import type { NetworkConnectorsTable } from './schema.ts';

/** A connector as it is kept. */
export interface ConnectorRecord extends Connector {
  readonly tags: ConnectorTags;
  /** Epoch milliseconds. */
  readonly createdAt: number;
}

/** Rows of customer connectors. */
export class ConnectorRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Stores a connector, new or changed, and the client token that asked for it. */
  async put(record: ConnectorRecord, claim?: TokenClaim): Promise<void> {
    const row = toRow(record);
    await this.#store.transaction().execute(async (transaction) => {
      await transaction
        .insertInto('network_connectors')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
        .execute();
      if (claim !== undefined) await recordClaim(transaction, claim, record.id, record.modifiedAt);
    });
  }

  async list(): Promise<readonly ConnectorRecord[]> {
    return (await this.#store.selectFrom('network_connectors').selectAll().execute()).map(fromRow);
  }

  /** Its client tokens are free again. */
  async remove(id: string): Promise<void> {
    await this.#store.transaction().execute(async (transaction) => {
      await transaction.deleteFrom('network_connectors').where('id', '=', id).execute();
      await dropClaims(transaction, id);
    });
  }

  /** A live microVM or an image version that a connector is in use by, for people to read. */
  async userOf(arn: string): Promise<string | undefined> {
    const inList = `%${JSON.stringify(arn)}%`;
    const microvm = await this.#store
      .selectFrom('microvms')
      .select('microvm_id')
      .where('egress_connectors', 'like', inList)
      .where('state', 'in', liveStates)
      .executeTakeFirst();
    if (microvm !== undefined) return `the microVM ${microvm.microvm_id}`;
    const version = await this.#store
      .selectFrom('image_versions')
      .select(['image_arn', 'version'])
      .where('configuration', 'like', `%"egressNetworkConnectors":[${inList}`)
      .executeTakeFirst();
    return version === undefined ? undefined : `version ${version.version}.0 of ${version.image_arn}`;
  }
}

function toRow(record: ConnectorRecord): NetworkConnectorsTable {
  return {
    id: record.id,
    arn: record.arn,
    name: record.name,
    state: record.state,
    state_reason: record.stateReason ?? null,
    configuration: JSON.stringify(record.configuration),
    operator_role: record.operatorRole,
    version: record.version,
    last_update: record.lastUpdate === undefined ? null : JSON.stringify(record.lastUpdate),
    tags: JSON.stringify(record.tags),
    created_at: record.createdAt,
    modified_at: record.modifiedAt,
  };
}

/** The store is ours and checked on the way in, so its JSON and its enumerations are taken as they stand. */
function fromRow(row: NetworkConnectorsTable): ConnectorRecord {
  return {
    id: row.id,
    arn: row.arn,
    name: row.name,
    state: row.state as ConnectorState,
    stateReason: row.state_reason ?? undefined,
    configuration: JSON.parse(row.configuration) as ConnectorConfiguration,
    operatorRole: row.operator_role,
    version: row.version,
    lastUpdate:
      row.last_update === null ? undefined : (JSON.parse(row.last_update) as Connector['lastUpdate']),
    tags: JSON.parse(row.tags) as ConnectorTags,
    createdAt: row.created_at,
    modifiedAt: row.modified_at,
  };
}
