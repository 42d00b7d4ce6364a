import type { StateChange } from '../model/event.ts';
import type { IdlePolicy, Logging, Microvm, MicrovmState } from '../model/microvm.ts';
import type { Page, PageRequest } from '../model/page.ts';
import { recordClaim, type TokenClaim } from './client-tokens.ts';
import type { Store } from './database.ts';
import { EventLog } from './event-log.ts';
import type { MicrovmRow, NewMicrovmRow } from './schema.ts';

/** States of VMs that still have something on this host. */
export const liveStates: readonly MicrovmState[] = [
  'PENDING',
  'RUNNING',
  'SUSPENDING',
  'SUSPENDED',
  'TERMINATING',
];

export interface MicrovmFilterRow {
  readonly imageArn?: string | undefined;
  readonly imageVersion?: string | undefined;
}

/** What the launch of a VM needs besides what anyone may see of it. */
export interface MicrovmBeginning {
  readonly runHookPayload: string | null;
  /** The microVM whose memory and disk it starts from; null for its version's snapshot. */
  readonly forkedFrom: string | null;
}

/** A transition as the store is to hold it; times in milliseconds since the epoch. */
export interface TransitionInStore {
  readonly now: number;
  /** When the VM was last active. */
  readonly lastActivityAt: number;
  /**
   * States that earlier attempts wanted to store since `from`: with the connection to the database the answer may have
   * been lost, and not the change.
   */
  readonly attempted?: ReadonlySet<MicrovmState>;
}

/** MicroVM rows. A row is written before the state it holds can be seen by anyone. */
export class MicrovmRepository {
  readonly #store: Store;
  readonly #events: EventLog;

  constructor(store: Store, events: EventLog = new EventLog(store)) {
    this.#store = store;
    this.#events = events;
  }

  /** Inserts new VMs that begin alike, and with the first of them the client token that asked for it. */
  async insert(
    vms: readonly Microvm[],
    beginning: MicrovmBeginning,
    claim: TokenClaim | undefined,
  ): Promise<void> {
    await this.#events.transaction(async (transaction, emit) => {
      for (const vm of vms) {
        await transaction
          .insertInto('microvms')
          .values({
            ...toRow(vm),
            run_hook_payload: beginning.runHookPayload,
            forked_from: beginning.forkedFrom,
            last_activity_at: vm.startedAt,
          })
          .execute();
        emit(vm.startedAt, microvmChange(vm, null));
      }
      const [first] = vms;
      if (claim !== undefined && first !== undefined) {
        await recordClaim(transaction, claim, first.microvmId, first.startedAt);
      }
    });
  }

  /** Replaces what may change, provided the row is in state `from` or an attempted one; says whether it was. */
  async transition(vm: Microvm, from: MicrovmState, how: TransitionInStore): Promise<boolean> {
    const { now, lastActivityAt, attempted = new Set() } = how;
    return await this.#events.transaction(async (transaction, emit) => {
      const replace = async (state: MicrovmState): Promise<boolean> => {
        const { numUpdatedRows } = await transaction
          .updateTable('microvms')
          .set({
            state: vm.state,
            state_reason: vm.stateReason,
            suspended_at: vm.suspendedAt,
            terminated_at: vm.terminatedAt,
            last_activity_at: lastActivityAt,
            ...(vm.state === 'PENDING' ? {} : { run_hook_payload: null }),
          })
          .where('microvm_id', '=', vm.microvmId)
          .where('state', '=', state)
          .executeTakeFirst();
        if (numUpdatedRows !== 1n) return false;
        // The same once more is no change, and was told when it came.
        if (state !== vm.state) emit(now, microvmChange(vm, state));
        return true;
      };
      for (const state of [from, ...attempted]) if (await replace(state)) return true;
      return false;
    });
  }

  /** Stores when VMs that run were last active, by id. */
  async storeActivity(activity: ReadonlyMap<string, number>): Promise<void> {
    await this.#store.transaction().execute(async (transaction) => {
      for (const [microvmId, at] of activity) {
        await transaction
          .updateTable('microvms')
          .set({ last_activity_at: at })
          .where('microvm_id', '=', microvmId)
          .where('last_activity_at', '<', at)
          .execute();
      }
    });
  }

  /** What {@link storeActivity} or the last transition stored; milliseconds since the epoch. */
  async lastActivity(microvmId: string): Promise<number> {
    const row = await this.#store
      .selectFrom('microvms')
      .select('last_activity_at')
      .where('microvm_id', '=', microvmId)
      .executeTakeFirst();
    return row?.last_activity_at ?? 0;
  }

  async get(microvmId: string): Promise<Microvm | undefined> {
    const row = await this.#store
      .selectFrom('microvms')
      .selectAll()
      .where('microvm_id', '=', microvmId)
      .executeTakeFirst();
    return row === undefined ? undefined : fromRow(row);
  }

  async getByEndpoint(endpointId: string): Promise<Microvm | undefined> {
    const row = await this.#store
      .selectFrom('microvms')
      .selectAll()
      .where('endpoint_id', '=', endpointId)
      .executeTakeFirst();
    return row === undefined ? undefined : fromRow(row);
  }

  async beginning(microvmId: string): Promise<MicrovmBeginning> {
    const row = await this.#store
      .selectFrom('microvms')
      .select(['run_hook_payload', 'forked_from'])
      .where('microvm_id', '=', microvmId)
      .executeTakeFirst();
    return { runHookPayload: row?.run_hook_payload ?? null, forkedFrom: row?.forked_from ?? null };
  }

  /** Newest first; the position is the last row's start and id, so pages stay stable under inserts. */
  async list(page: PageRequest, filter: MicrovmFilterRow): Promise<Page<Microvm>> {
    let query = this.#store
      .selectFrom('microvms')
      .selectAll()
      .orderBy('started_at', 'desc')
      .orderBy('microvm_id', 'desc')
      .limit(page.limit + 1);
    if (filter.imageArn !== undefined) query = query.where('image_arn', '=', filter.imageArn);
    if (filter.imageVersion !== undefined) query = query.where('image_version', '=', filter.imageVersion);
    if (page.after !== undefined) {
      const { startedAt, microvmId } = parsePosition(page.after);
      query = query.where((where) =>
        where.or([
          where('started_at', '<', startedAt),
          where.and([where('started_at', '=', startedAt), where('microvm_id', '<', microvmId)]),
        ]),
      );
    }
    const rows = await query.execute();
    const items = rows.slice(0, page.limit).map(fromRow);
    const last = items.at(-1);
    const more = rows.length > page.limit && last !== undefined;
    return { items, next: more ? `${last.startedAt}/${last.microvmId}` : undefined };
  }

  async listLive(): Promise<readonly Microvm[]> {
    const rows = await this.#store
      .selectFrom('microvms')
      .selectAll()
      .where('state', 'in', liveStates)
      .execute();
    return rows.map(fromRow);
  }

  async hasLive(imageArn: string, imageVersion?: string): Promise<boolean> {
    let query = this.#store
      .selectFrom('microvms')
      .select('microvm_id')
      .where('image_arn', '=', imageArn)
      .where('state', 'in', liveStates)
      .limit(1);
    if (imageVersion !== undefined) query = query.where('image_version', '=', imageVersion);
    return (await query.executeTakeFirst()) !== undefined;
  }

  /** VMs that are not TERMINATED, by state. */
  async countLive(): Promise<ReadonlyMap<MicrovmState, number>> {
    const rows = await this.#store
      .selectFrom('microvms')
      .select((select) => ['state', select.fn.countAll<number>().as('count')])
      .where('state', 'in', liveStates)
      .groupBy('state')
      .execute();
    const counts = new Map(rows.map((row) => [row.state, Number(row.count)]));
    return new Map(liveStates.map((state) => [state, counts.get(state) ?? 0]));
  }

  /** Baseline memory of all VMs that are not TERMINATED, in MiB. */
  async liveMemoryMib(): Promise<number> {
    const row = await this.#store
      .selectFrom('microvms')
      .select((select) => select.fn.sum<number | null>('memory_mib').as('total'))
      .where('state', 'in', liveStates)
      .executeTakeFirst();
    return Number(row?.total ?? 0);
  }
}

function microvmChange(vm: Microvm, from: MicrovmState | null): StateChange {
  const { microvmId, imageArn, imageVersion, state: to, stateReason: reason } = vm;
  return { subject: 'microvm', microvmId, imageArn, imageVersion, buildId: null, from, to, reason };
}

function parsePosition(position: string): { startedAt: number; microvmId: string } {
  const slash = position.indexOf('/');
  return { startedAt: Number(position.slice(0, slash)), microvmId: position.slice(slash + 1) };
}

function toRow(vm: Microvm): Omit<NewMicrovmRow, 'run_hook_payload' | 'forked_from' | 'last_activity_at'> {
  return {
    microvm_id: vm.microvmId,
    endpoint_id: vm.endpointId,
    state: vm.state,
    state_reason: vm.stateReason,
    image_arn: vm.imageArn,
    image_version: vm.imageVersion,
    execution_role_arn: vm.executionRoleArn,
    idle_policy: vm.idlePolicy === null ? null : JSON.stringify(vm.idlePolicy),
    logging: vm.logging === null ? null : JSON.stringify(vm.logging),
    maximum_duration_seconds: vm.maximumDurationInSeconds,
    ingress_connectors: JSON.stringify(vm.ingressNetworkConnectors),
    egress_connectors: JSON.stringify(vm.egressNetworkConnectors),
    memory_mib: vm.memoryMib,
    started_at: vm.startedAt,
    suspended_at: vm.suspendedAt,
    terminated_at: vm.terminatedAt,
  };
}

/** The store is ours and checked on the way in, so its JSON is taken as it stands. */
function fromRow(row: MicrovmRow): Microvm {
  return {
    microvmId: row.microvm_id,
    endpointId: row.endpoint_id,
    state: row.state as MicrovmState,
    stateReason: row.state_reason,
    imageArn: row.image_arn,
    imageVersion: row.image_version,
    executionRoleArn: row.execution_role_arn,
    idlePolicy: row.idle_policy === null ? null : (JSON.parse(row.idle_policy) as IdlePolicy),
    logging: row.logging === null ? null : (JSON.parse(row.logging) as Logging),
    maximumDurationInSeconds: row.maximum_duration_seconds,
    ingressNetworkConnectors: JSON.parse(row.ingress_connectors) as string[],
    egressNetworkConnectors: JSON.parse(row.egress_connectors) as string[],
    memoryMib: row.memory_mib,
    startedAt: row.started_at,
    suspendedAt: row.suspended_at,
    terminatedAt: row.terminated_at,
  };
}
