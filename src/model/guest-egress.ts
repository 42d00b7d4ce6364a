import type { Duplex } from 'node:stream';

/** A connection that something in a guest has opened to another machine, and that its host shall make. */
export interface EgressConnection {
  /** IPv4 address the guest chose, dotted. Not judged yet. */
  readonly address: string;
  readonly port: number;
  /** Aborted when the guest gives the connection up or its session ends. */
  readonly signal: AbortSignal;
  /** Takes the connection: the guest's end of it. At most once, and not after {@link refuse}. */
  accept(): Duplex;
  /** Resets the guest's connection. @param errno name such as `ECONNREFUSED` */
  refuse(errno: string): void;
}

/** What a host does for a guest that reaches out. */
export interface EgressHandler {
  onConnection(connection: EgressConnection): void;
  /**
   * @param query one datagram to port 53, at most 4096 bytes of anything
   * @returns the datagram to answer with, or undefined for none
   */
  onQuery(query: Buffer): Promise<Buffer | undefined>;
}
