import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';

export const resumeMicrovm = defineOperation({
  name: 'ResumeMicrovm',
  method: 'POST',
  path: '/2025-09-09/microvms/{microvmIdentifier}/resume',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    await api.services.microvms.resume(microvmIdentifier);
    return {};
  },
});
