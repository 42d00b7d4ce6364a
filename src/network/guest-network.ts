import type { EgressHandler } from '../model/guest-egress.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { includesConnector } from './connectors.ts';
import { andNetworks, type EgressPolicy, internetOnly, noEgress } from './egress-policy.ts';
import { createGuestEgress } from './guest-egress.ts';
import type { NameService } from './name-service.ts';

/** The network of every guest of this host. */
export interface GuestNetwork {
  /** Connects a guest whose session has begun, as its egress connectors say (ARNs, spec section 7). */
  attach(agent: { onEgress(handler: EgressHandler): void }, egressConnectors: readonly string[]): void;
}

export interface GuestNetworkOptions {
  readonly names: NameService;
  /** Networks that guests with INTERNET_EGRESS reach although they are not the Internet, in CIDR notation. */
  readonly allowed: readonly string[];
  /** Where figures are kept; nobody sees them when absent. */
  readonly metrics?: Metrics | undefined;
}

export function createGuestNetwork(options: GuestNetworkOptions): GuestNetwork {
  const { names, allowed, metrics = new Metrics() } = options;
  const refusals = metrics.count(
    'egress_refusals_total',
    'Connections and name look-ups of guests that their policy refused.',
    ['kind'],
  );
  const onRefused = (what: 'connection' | 'name'): void => refusals.add(1, what);
  const internet = andNetworks(internetOnly(), allowed);
  return {
    attach: (agent, egressConnectors) =>
      agent.onEgress(createGuestEgress({ policy: policyOf(egressConnectors, internet), names, onRefused })),
  };
}

/** A connector that is not known, or has no rules of its own yet, opens nothing. */
function policyOf(egressConnectors: readonly string[], internet: EgressPolicy): EgressPolicy {
  return includesConnector(egressConnectors, 'INTERNET_EGRESS') ? internet : noEgress;
}
