import type { EgressPolicyDocument, NamedEgressPolicy } from '../model/egress-policy.ts';

/** Egress policies, which connectors refer to by name. Methods throw {@link ServiceError}. */
export interface EgressPolicyService {
  /** Makes a policy or replaces it. */
  put(name: string, document: EgressPolicyDocument): Promise<NamedEgressPolicy>;
  get(name: string): NamedEgressPolicy;
  list(): readonly NamedEgressPolicy[];
  /** Refused while a connector refers to it. */
  delete(name: string): Promise<void>;
}
