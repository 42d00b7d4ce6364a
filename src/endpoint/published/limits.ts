/** What the users of published ports may hold at the same time. */
export interface PublishedLimits {
  /** Ports published per microVM. */
  readonly portsPerMicrovm: number;
  /** TCP connections open per port. */
  readonly connectionsPerPort: number;
  /** Connections and sessions waiting for one microVM to be reachable, and for how long. */
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
  waitersPerMicrovm: 512,
  wakeTimeoutMs: 60_000,
  keepAliveMs: 60_000,
  retryMs: 5000,
};
