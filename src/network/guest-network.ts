import type { Clock } from '../model/clock.ts';
import { type EgressRules, uniteRules } from '../model/egress-policy.ts';
import type { EgressRefusal } from '../model/egress-refusal.ts';
import type { EgressHandler } from '../model/guest-egress.ts';
import type { Microvm } from '../model/microvm.ts';
import { Metrics } from '../telemetry/metrics.ts';
import type { CustomerConnectors } from './connectors/customer-connectors.ts';
import { includesConnector } from './connectors/resolve-connectors.ts';
import { createEgressPolicy, type EgressPolicy } from './egress/egress-policy.ts';
import { createGuestEgress, type GuestService } from './egress/guest-egress.ts';
import { RecentRefusals } from './egress/recent-refusals.ts';
import { ToldAddresses } from './egress/told-addresses.ts';
import { type MetadataService, metadataAddress } from './metadata/metadata-service.ts';
import type { NameService } from './names/name-service.ts';

/** Sets of connectors whose policies are kept ready. */
const mostCompiled = 100;

/** Where guests find the API of this server, if their policy names this address. */
export const apiAddress = '169.254.169.80:80';

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
  /** What a microVM was refused lately, latest first. */
  refusalsOf(microvmId: string): readonly EgressRefusal[];
  /** Drops what is kept of a microVM that has ended. */
  forget(microvmId: string): void;
}

export interface GuestNetworkOptions {
  readonly names: NameService;
  /** Networks that guests with INTERNET_EGRESS reach although they are not the Internet, in CIDR notation. */
  readonly allowed: readonly string[];
  readonly connectors: Pick<CustomerConnectors, 'rulesOf'>;
  readonly metadata: MetadataService;
  /** Serves connections to {@link apiAddress}. */
  readonly api: GuestService;
  readonly clock: Pick<Clock, 'now'>;
  /** Where figures are kept; nobody sees them when absent. */
  readonly metrics?: Metrics | undefined;
}

export function createGuestNetwork(options: GuestNetworkOptions): GuestNetwork {
  const { names, allowed, connectors, metadata, api, clock, metrics = new Metrics() } = options;
  const refusalCount = metrics.count(
    'egress_refusals_total',
    'Connections and name look-ups of guests that their policy refused.',
    ['kind'],
  );
  const governed = new Map([[apiAddress, api]]);
  /** What is kept of microVMs from one session to the next. */
  const kept = new Map<string, { told: ToldAddresses; refused: RecentRefusals }>();

  /** Of guests with the same connectors, as long as their rules are the same. */
  const compiled = new Map<
    string,
    { readonly rules: readonly EgressRules[]; readonly policy: EgressPolicy }
  >();

  /** The policy of egress connectors as it is now. One that is not known opens nothing. */
  const policyOf = (arns: readonly string[]): EgressPolicy => {
    const rules = arns.flatMap((arn) => connectors.rulesOf(arn));
    const key = arns.join(' ');
    const known = compiled.get(key);
    const unchanged = known?.rules.every((each, index) => each === rules[index]);
    if (known !== undefined && unchanged && known.rules.length === rules.length) return known.policy;
    const internet = includesConnector(arns, 'INTERNET_EGRESS');
    const united = uniteRules([...rules, { allow: [], deny: [], internet }]);
    const policy = createEgressPolicy(united, internet ? allowed : []);
    if (compiled.size >= mostCompiled) compiled.clear();
    compiled.set(key, { rules, policy });
    return policy;
  };

  return {
    attach(agent, egressConnectors, microvm) {
      const known = kept.get(microvm?.microvmId ?? '') ?? {
        told: new ToldAddresses(),
        refused: new RecentRefusals(() => clock.now()),
      };
      const services = new Map<string, GuestService>();
      if (microvm !== undefined) {
        kept.set(microvm.microvmId, known);
        services.set(metadataAddress, metadata.forGuest(microvm));
      }
      const handler = createGuestEgress({
        policy: () => policyOf(egressConnectors),
        names,
        told: known.told,
        services,
        governed,
        onRefused: (kind, target) => {
          refusalCount.add(1, kind);
          known.refused.add(kind, target);
        },
      });
      agent.onEgress(handler);
    },
    refusalsOf: (microvmId) => kept.get(microvmId)?.refused.list() ?? [],
    forget: (microvmId) => void kept.delete(microvmId),
  };
}
