import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';
import { microvmToWire } from '../wire/microvm.ts';

export const getMicrovm = defineOperation({
  name: 'GetMicrovm',
  method: 'GET',
  path: '/2025-09-09/microvms/{microvmIdentifier}',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    return microvmToWire(await api.services.microvms.get(microvmIdentifier), api.options);
  },
});
