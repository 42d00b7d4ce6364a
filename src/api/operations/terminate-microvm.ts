import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';

export const terminateMicrovm = defineOperation({
  name: 'TerminateMicrovm',
  method: 'DELETE',
  path: '/2025-09-09/microvms/{microvmIdentifier}',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    await api.services.microvms.terminate(microvmIdentifier);
    return {};
  },
});
