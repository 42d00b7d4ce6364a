import { mostEgressRules, type NamedEgressPolicy } from '../../model/egress-policy.ts';
import { list, text } from '../shapes/shape.ts';
import { toSeconds } from '../wire/time.ts';

/** The ids that a connector's configuration can have (spec section 1.9), and none that is the prefix alone. */
export const policyName = text({ min: 1, max: 128, pattern: 'subnet-[0-9a-z]+|sg-[0-9a-zA-Z]+' });
/** A port list makes it longer than a name can be. */
export const policyRules = list(text({ min: 1, max: 1024 }), { min: 0, max: mostEgressRules });

export function policyToWire(policy: NamedEgressPolicy): object {
  const { name, allow, deny, default: otherwise, createdAt, updatedAt } = policy;
  return {
    policyName: name,
    allow,
    deny,
    default: otherwise,
    createdAt: toSeconds(createdAt),
    updatedAt: toSeconds(updatedAt),
  };
}
