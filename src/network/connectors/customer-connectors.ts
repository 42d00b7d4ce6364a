import { randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from 'pino';
import {
  connectorBusy,
  connectorInUse,
  connectorNameTaken,
  connectorNotActive,
  connectorNotFound,
  connectorQuotaExceeded,
  invalidConnectorName,
  unknownEgressPolicies,
} from '../../errors/connectors.ts';
import type { Realm } from '../../model/arn.ts';
import type { Clock } from '../../model/clock.ts';
import {
  type Connector,
  type ConnectorChange,
  type ConnectorConfiguration,
  type ConnectorInput,
  type ConnectorState,
  type ConnectorTags,
  connectorArn,
  policyNamesOf,
} from '../../model/connector.ts';
import type { EgressRules } from '../../model/egress-policy.ts';
import { limits, type Profile } from '../../model/limits.ts';
import { oneAtATime } from '../../model/one-at-a-time.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import { claimOf, findClaim, type TokenClaim } from '../../store/client-tokens.ts';
import { type ConnectorRecord, ConnectorRepository } from '../../store/connectors.ts';
import type { Store } from '../../store/database.ts';
import { EgressPolicies } from './egress-policies.ts';

export interface CustomerConnectorsOptions {
  readonly store: Store;
  readonly realm: Realm;
  readonly profile: Profile;
  readonly clock: Pick<Clock, 'now'>;
  readonly logger: Pick<Logger, 'error'>;
}

const plainName = /^[a-zA-Z0-9_-]{1,64}$/;

/**
 * Customer connectors (spec section 1.9) and the egress policies they refer to: durable in the store, and at hand
 * for every connection of a guest.
 */
export class CustomerConnectors {
  readonly policies: EgressPolicies;
  readonly #options: CustomerConnectorsOptions;
  readonly #rows: ConnectorRepository;
  readonly #records = new Map<string, ConnectorRecord>();
  /** What checks and then changes runs alone. */
  readonly #turns = oneAtATime();
  readonly #settling = new Set<Promise<void>>();

  constructor(options: CustomerConnectorsOptions) {
    this.#options = options;
    this.#rows = new ConnectorRepository(options.store);
    this.policies = new EgressPolicies({
      store: options.store,
      clock: options.clock,
      turns: this.#turns,
      userOf: (policy) => this.#find((record) => policyNamesOf(record.configuration).includes(policy))?.name,
    });
  }

  /** Reads what is stored and finishes what an earlier server began. */
  async recover(): Promise<void> {
    await this.policies.load();
    for (const record of await this.#rows.list()) {
      this.#records.set(record.id, record);
      this.#settle(record);
    }
  }

  /** Waits for what is under way. */
  async close(): Promise<void> {
    await Promise.all(this.#settling);
  }

  /** @returns the connector in PENDING; it becomes ACTIVE in the background */
  async create(input: ConnectorInput): Promise<Connector> {
    return await this.#turns(async () => {
      const claim = claimOf('CreateNetworkConnector', input);
      const earlier = await this.#replay(claim);
      if (earlier !== undefined) return earlier;
      if (!plainName.test(input.name)) throw invalidConnectorName(input.name);
      this.#requirePolicies(input.configuration);
      if (this.#find(({ name }) => name === input.name) !== undefined) throw connectorNameTaken(input.name);
      const most = limits[this.#options.profile].networkConnectors;
      if (this.#records.size >= most) throw connectorQuotaExceeded(most);
      const now = this.#options.clock.now();
      const id = `nc-${randomUUID()}`;
      const record: ConnectorRecord = {
        id,
        arn: connectorArn(this.#options.realm, id),
        name: input.name,
        state: 'PENDING',
        stateReason: 'Initial creation',
        configuration: input.configuration,
        operatorRole: input.operatorRole,
        version: 1,
        lastUpdate: undefined,
        tags: input.tags,
        createdAt: now,
        modifiedAt: now,
      };
      await this.#put(record, claim);
      this.#settle(record);
      return record;
    });
  }

  async get(identifier: string): Promise<Connector> {
    return this.#record(identifier);
  }

  /** Oldest first. Positions are creation time and id, so pages stay stable under inserts. */
  async list(page: PageRequest, state: ConnectorState | undefined): Promise<Page<Connector>> {
    const rows = Array.from(this.#records.values(), (record) => ({ record, position: positionOf(record) }))
      .filter(
        ({ record, position }) => record.state === (state ?? record.state) && position > (page.after ?? ''),
      )
      .sort((a, b) => (a.position < b.position ? -1 : 1));
    const items = rows.slice(0, page.limit);
    return {
      items: items.map(({ record }) => record),
      next: rows.length > page.limit ? items.at(-1)?.position : undefined,
    };
  }

  /** New connections of guests that use the connector follow the change from then on. */
  async update(identifier: string, change: ConnectorChange): Promise<Connector> {
    return await this.#turns(async () => {
      const record = this.#record(identifier);
      const claim = claimOf('UpdateNetworkConnector', change, { id: record.id });
      const earlier = await this.#replay(claim);
      if (earlier !== undefined) return earlier;
      if (record.state === 'DELETING') throw connectorBusy(record.arn, record.state);
      const configuration = change.configuration ?? record.configuration;
      const operatorRole = change.operatorRole ?? record.operatorRole;
      this.#requirePolicies(configuration);
      const same =
        isDeepStrictEqual(configuration, record.configuration) && operatorRole === record.operatorRole;
      const updated: ConnectorRecord = {
        ...record,
        configuration,
        operatorRole,
        version: same ? record.version : record.version + 1,
        lastUpdate: {
          status: 'Successful',
          reason: same ? 'No configuration changes detected' : undefined,
        },
        modifiedAt: this.#options.clock.now(),
      };
      await this.#put(updated, claim);
      return updated;
    });
  }

  /** @returns the connector in DELETING; it goes in the background */
  async delete(identifier: string): Promise<Connector> {
    return await this.#turns(async () => {
      const record = this.#record(identifier);
      if (record.state === 'DELETING') return record;
      const user = await this.#rows.userOf(record.arn);
      if (user !== undefined) throw connectorInUse(record.arn, user);
      const deleting: ConnectorRecord = {
        ...record,
        state: 'DELETING',
        modifiedAt: this.#options.clock.now(),
      };
      await this.#put(deleting);
      this.#settle(deleting);
      return deleting;
    });
  }

  async tags(arn: string): Promise<ConnectorTags> {
    return this.#record(arn).tags;
  }

  async tag(arn: string, tags: ConnectorTags): Promise<void> {
    await this.#turns(async () => {
      const record = this.#record(arn);
      await this.#put({ ...record, tags: { ...record.tags, ...tags } });
    });
  }

  async untag(arn: string, keys: readonly string[]): Promise<void> {
    await this.#turns(async () => {
      const record = this.#record(arn);
      const left = Object.entries(record.tags).filter(([key]) => !keys.includes(key));
      await this.#put({ ...record, tags: Object.fromEntries(left) });
    });
  }

  /**
   * Whether a VM or an image may have the connector (spec section 7).
   * @throws {ServiceError} no such connector, or not ACTIVE
   */
  requireActive(arn: string): void {
    const record = this.#byArn(arn);
    if (record === undefined) throw connectorNotFound(arn);
    if (record.state !== 'ACTIVE') throw connectorNotActive(arn, record.state);
  }

  /** The rules of a connector as they are now; none for one that is not there, which opens nothing. */
  rulesOf(arn: string): readonly EgressRules[] {
    const record = this.#byArn(arn);
    if (record === undefined) return [];
    return policyNamesOf(record.configuration).flatMap((name) => this.policies.rulesOf(name) ?? []);
  }

  #record(identifier: string): ConnectorRecord {
    const found =
      this.#records.get(identifier) ??
      this.#byArn(identifier) ??
      this.#find(({ name }) => name === identifier);
    if (found !== undefined) return found;
    // By its whole ARN, whatever it was asked for by (spec section 1.9).
    const { realm } = this.#options;
    throw connectorNotFound(identifier.startsWith('arn:') ? identifier : connectorArn(realm, identifier));
  }

  #byArn(arn: string): ConnectorRecord | undefined {
    const record = this.#records.get(arn.slice(arn.lastIndexOf(':') + 1));
    return record?.arn === arn ? record : undefined;
  }

  #find(wanted: (record: ConnectorRecord) => boolean): ConnectorRecord | undefined {
    return this.#records.values().find(wanted);
  }

  async #replay(claim: TokenClaim | undefined): Promise<Connector | undefined> {
    const id = claim && (await findClaim(this.#options.store, claim));
    return id === undefined ? undefined : this.#records.get(id);
  }

  #requirePolicies(configuration: ConnectorConfiguration): void {
    const unknown = policyNamesOf(configuration).filter((name) => this.policies.rulesOf(name) === undefined);
    if (unknown.length > 0) throw unknownEgressPolicies(unknown);
  }

  async #put(record: ConnectorRecord, claim?: TokenClaim): Promise<void> {
    await this.#rows.put(record, claim);
    this.#records.set(record.id, record);
  }

  /** Brings a connector out of a state that passes. What fails here is taken up by the next {@link recover}. */
  #settle({ id, state }: ConnectorRecord): void {
    if (state !== 'PENDING' && state !== 'DELETING') return;
    const settled = this.#turns(async () => {
      const record = this.#records.get(id);
      if (record?.state === 'PENDING') await this.#put({ ...record, state: 'ACTIVE' });
      if (record?.state !== 'DELETING') return;
      await this.#rows.remove(id);
      this.#records.delete(id);
    }).catch((error: unknown) => {
      this.#options.logger.error({ connector: id, err: error }, 'a connector stays as it is');
    });
    this.#settling.add(settled);
    void settled.finally(() => this.#settling.delete(settled));
  }
}

function positionOf({ createdAt, id }: ConnectorRecord): string {
  return `${String(createdAt).padStart(16, '0')}/${id}`;
}
