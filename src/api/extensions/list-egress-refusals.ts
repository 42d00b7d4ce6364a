import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';
import { toSeconds } from '../wire/time.ts';

/** What a microVM wanted to reach lately and was refused, latest first; kept while the server runs. */
export const listEgressRefusals = defineOperation({
  name: 'ListEgressRefusals',
  method: 'GET',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/egress-refusals',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    const { microvmId } = await api.services.microvms.get(microvmIdentifier);
    const refusals = api.services.egressRefusals(microvmId);
    return {
      refusals: refusals.map(({ lastAt, ...refusal }) => ({ ...refusal, lastAt: toSeconds(lastAt) })),
    };
  },
});
