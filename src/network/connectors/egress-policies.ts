import {
  egressPolicyInUse,
  egressPolicyNotFound,
  invalidEgressPolicy,
  tooManyEgressPolicies,
} from '../../errors/connectors.ts';
import type { Clock } from '../../model/clock.ts';
import {
  type EgressPolicyDocument,
  type EgressRules,
  type NamedEgressPolicy,
  readEgressPolicy,
} from '../../model/egress-policy.ts';
import type { Turns } from '../../model/one-at-a-time.ts';
import type { Store } from '../../store/database.ts';
import { EgressPolicyRepository } from '../../store/egress-policies.ts';

const mostPolicies = 1000;

export interface EgressPoliciesOptions {
  readonly store: Store;
  readonly clock: Pick<Clock, 'now'>;
  /** Changes of policies and of the connectors that refer to them run one after the other. */
  readonly turns: Turns;
  /** Name of a connector that refers to the policy, if there is one. */
  readonly userOf: (name: string) => string | undefined;
}

interface Entry {
  readonly policy: NamedEgressPolicy;
  readonly rules: EgressRules;
}

/** The egress policies of the server: durable in the store, at hand for every connection of a guest. */
export class EgressPolicies {
  readonly #options: EgressPoliciesOptions;
  readonly #rows: EgressPolicyRepository;
  readonly #entries = new Map<string, Entry>();

  constructor(options: EgressPoliciesOptions) {
    this.#options = options;
    this.#rows = new EgressPolicyRepository(options.store);
  }

  /** Reads what is stored; before anything else. */
  async load(): Promise<void> {
    for (const policy of await this.#rows.list()) this.#keep(policy, readEgressPolicy(policy));
  }

  /**
   * Makes a policy or replaces it. New connections of guests follow it from then on.
   * @throws {ServiceError} a rule is none
   */
  async put(
    name: string,
    { allow, deny, default: otherwise }: EgressPolicyDocument,
  ): Promise<NamedEgressPolicy> {
    return await this.#options.turns(async () => {
      const document = { allow, deny, default: otherwise };
      const rules = readRules(document);
      const known = this.#entries.get(name)?.policy;
      if (known === undefined && this.#entries.size >= mostPolicies)
        throw tooManyEgressPolicies(mostPolicies);
      const now = this.#options.clock.now();
      const policy = { ...document, name, createdAt: known?.createdAt ?? now, updatedAt: now };
      await this.#rows.put(policy);
      this.#keep(policy, rules);
      return policy;
    });
  }

  /** @throws {ServiceError} no such policy */
  get(name: string): NamedEgressPolicy {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw egressPolicyNotFound(name);
    return entry.policy;
  }

  /** Sorted by name. */
  list(): readonly NamedEgressPolicy[] {
    return Array.from(this.#entries.values(), ({ policy }) => policy).sort((a, b) =>
      a.name < b.name ? -1 : 1,
    );
  }

  /** @throws {ServiceError} no such policy, or a connector refers to it */
  async delete(name: string): Promise<void> {
    await this.#options.turns(async () => {
      this.get(name);
      const user = this.#options.userOf(name);
      if (user !== undefined) throw egressPolicyInUse(name, user);
      await this.#rows.remove(name);
      this.#entries.delete(name);
    });
  }

  rulesOf(name: string): EgressRules | undefined {
    return this.#entries.get(name)?.rules;
  }

  #keep(policy: NamedEgressPolicy, rules: EgressRules): void {
    this.#entries.set(policy.name, { policy, rules });
  }
}

function readRules(document: EgressPolicyDocument): EgressRules {
  try {
    return readEgressPolicy(document);
  } catch (error) {
    if (error instanceof RangeError) throw invalidEgressPolicy(error.message);
    throw error;
  }
}
