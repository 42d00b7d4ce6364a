import { type RelayLimits, relayLimits } from '../../datagrams/relay.ts';

/** What the users of published ports may hold at the same time. */
export interface PublishedLimits {
  /** Ports published per microVM. */
  readonly portsPerMicrovm: number;
  /** TCP connections open per port. */
  readonly connectionsPerPort: number;
  /** UDP senders per port. */
  readonly datagrams: RelayLimits;
  /** Connections and senders waiting for one microVM to be reachable, and for how long. */
  readonly waitersPerMicrovm: number;
  readonly wakeTimeoutMs: number;
  /** Silence after which a peer is asked whether it is still there. */
  readonly keepAliveMs: number;
  /** How often a port that could not be opened after a restart is tried again. */
  readonly retryMs: number;
}

export const publishedLimits: PublishedLimits = {
  portsPerMicrovm: 64,
  connectionsPerPort: 512,
  datagrams: relayLimits,
  waitersPerMicrovm: 512,
  wakeTimeoutMs: 60_000,
  keepAliveMs: 60_000,
  retryMs: 5000,
};
