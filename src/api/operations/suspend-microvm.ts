import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';

export const suspendMicrovm = defineOperation({
  name: 'SuspendMicrovm',
  method: 'POST',
  path: '/2025-09-09/microvms/{microvmIdentifier}/suspend',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    await api.services.microvms.suspend(microvmIdentifier);
    return {};
  },
});
