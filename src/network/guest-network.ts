import { type EgressRules, uniteRules } from '../model/egress-policy.ts';
import type { EgressHandler } from '../model/guest-egress.ts';
import type { Microvm } from '../model/microvm.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { includesConnector } from './connectors.ts';
import type { CustomerConnectors } from './customer-connectors.ts';
import { createEgressPolicy, type EgressPolicy } from './egress-policy.ts';
import { createGuestEgress } from './guest-egress.ts';
import { type MetadataService, metadataAddress } from './metadata/metadata-service.ts';
import type { NameService } from './name-service.ts';
import { ToldAddresses } from './told-addresses.ts';

/** The network of every guest of this host. */
export interface GuestNetwork {
  /**
   * Connects a guest whose session has begun.
   * @param egressConnectors ARNs that say what it reaches (spec section 7)
   * @param microvm what the guest is; absent while an image is built, which has no metadata
   */
  attach(
    agent: { onEgress(handler: EgressHandler): void },
    egressConnectors: readonly string[],
    microvm?: Microvm,
  ): void;
  /** Drops what is kept of a microVM that has ended. */
  forget(microvmId: string): void;
}

export interface GuestNetworkOptions {
  readonly names: NameService;
  /** Networks that guests with INTERNET_EGRESS reach although they are not the Internet, in CIDR notation. */
  readonly allowed: readonly string[];
  readonly connectors: Pick<CustomerConnectors, 'rulesOf'>;
  readonly metadata: MetadataService;
  /** Where figures are kept; nobody sees them when absent. */
  readonly metrics?: Metrics | undefined;
}

export function createGuestNetwork(options: GuestNetworkOptions): GuestNetwork {
  const { names, allowed, connectors, metadata, metrics = new Metrics() } = options;
  const refusals = metrics.count(
    'egress_refusals_total',
    'Connections and name look-ups of guests that their policy refused.',
    ['kind'],
  );
  const onRefused = (what: 'connection' | 'name'): void => refusals.add(1, what);
  const told = new Map<string, ToldAddresses>();

  /** A connector that is not known opens nothing. */
  const policyFor = (arns: readonly string[]): (() => EgressPolicy) => {
    const internet = includesConnector(arns, 'INTERNET_EGRESS');
    const rulesNow = (): readonly EgressRules[] => arns.flatMap((arn) => connectors.rulesOf(arn));
    let rules = rulesNow();
    const compile = (): EgressPolicy =>
      createEgressPolicy(uniteRules([...rules, { allow: [], deny: [], internet }]), internet ? allowed : []);
    let policy = compile();
    return () => {
      const current = rulesNow();
      if (current.length !== rules.length || current.some((each, index) => each !== rules[index])) {
        rules = current;
        policy = compile();
      }
      return policy;
    };
  };

  return {
    attach(agent, egressConnectors, microvm) {
      const egress = { policy: policyFor(egressConnectors), names, onRefused };
      if (microvm === undefined) {
        agent.onEgress(createGuestEgress({ ...egress, told: new ToldAddresses() }));
        return;
      }
      const known = told.get(microvm.microvmId) ?? new ToldAddresses();
      told.set(microvm.microvmId, known);
      const services = new Map([[metadataAddress, metadata.forGuest(microvm)]]);
      agent.onEgress(createGuestEgress({ ...egress, told: known, services }));
    },
    forget: (microvmId) => void told.delete(microvmId),
  };
}
