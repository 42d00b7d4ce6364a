import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';

/** Lets a microVM fall asleep by its idle policy again; nothing happens to one without a lease. */
export const endLease = defineOperation({
  name: 'EndLease',
  method: 'DELETE',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/lease',
  status: 204,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    await api.services.microvms.endLease(microvmIdentifier);
    return undefined;
  },
});
