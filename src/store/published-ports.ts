import type { PortProtocol, PublishedPort } from '../model/published-port.ts';
import type { Store } from './database.ts';
import type { PublishedPortRow } from './schema.ts';

/** Rows of published ports. */
export class PublishedPortRepository {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** @throws the guest port is published already, or the host port belongs to another one */
  async insert(port: PublishedPort): Promise<void> {
    await this.#store
      .insertInto('published_ports')
      .values({
        microvm_id: port.microvmId,
        protocol: port.protocol,
        guest_port: port.guestPort,
        host_port: port.hostPort,
        allow: JSON.stringify(port.allow),
      })
      .execute();
  }

  async list(microvmId: string): Promise<readonly PublishedPort[]> {
    const rows = await this.#store
      .selectFrom('published_ports')
      .selectAll()
      .where('microvm_id', '=', microvmId)
      .orderBy('guest_port')
      .orderBy('protocol')
      .execute();
    return rows.map(fromRow);
  }

  async listAll(): Promise<readonly PublishedPort[]> {
    return (await this.#store.selectFrom('published_ports').selectAll().execute()).map(fromRow);
  }

  /** Says whether there was such a row. */
  async remove(port: Pick<PublishedPort, 'microvmId' | 'protocol' | 'guestPort'>): Promise<boolean> {
    const result = await this.#store
      .deleteFrom('published_ports')
      .where('microvm_id', '=', port.microvmId)
      .where('protocol', '=', port.protocol)
      .where('guest_port', '=', port.guestPort)
      .executeTakeFirst();
    return result.numDeletedRows > 0n;
  }
}

function fromRow(row: PublishedPortRow): PublishedPort {
  return {
    microvmId: row.microvm_id,
    protocol: row.protocol as PortProtocol,
    guestPort: row.guest_port,
    hostPort: row.host_port,
    allow: JSON.parse(row.allow) as string[],
  };
}
