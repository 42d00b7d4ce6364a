import { defineOperation } from '../operation.ts';
import { microvmOnly } from '../shapes/microvms.ts';
import { portToWire, publishedPorts } from './ports.ts';

/** The ports of a microVM that are open on the host. */
export const listPorts = defineOperation({
  name: 'ListPorts',
  method: 'GET',
  path: '/dormouse/v1/microvms/{microvmIdentifier}/ports',
  status: 200,
  input: microvmOnly,
  async handle({ microvmIdentifier }, { api }) {
    return { ports: (await publishedPorts(api).list(microvmIdentifier)).map(portToWire) };
  },
});
