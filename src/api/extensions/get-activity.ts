import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';

/** What keeps a microVM awake besides bytes across its endpoint. */
export const getActivity = defineOperation({
  name: 'GetActivity',
  method: 'GET',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/activity',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    return (await api.services.microvms.inspect(microvmIdentifier)).activity;
  },
});
