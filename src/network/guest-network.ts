import type { EgressHandler } from '../model/guest-egress.ts';
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
}

export function createGuestNetwork({ names, allowed }: GuestNetworkOptions): GuestNetwork {
  const internet = andNetworks(internetOnly(), allowed);
  return {
    attach: (agent, egressConnectors) =>
      agent.onEgress(createGuestEgress({ policy: policyOf(egressConnectors, internet), names })),
  };
}

/** A connector that is not known, or has no rules of its own yet, opens nothing. */
function policyOf(egressConnectors: readonly string[], internet: EgressPolicy): EgressPolicy {
  return includesConnector(egressConnectors, 'INTERNET_EGRESS') ? internet : noEgress;
}
