import { microvmTerminated, tokenTooLong } from '../../errors.ts';
import { reversedPortRange } from '../errors.ts';
import { defineOperation } from '../operation.ts';
import { createAuthToken as input } from '../shapes/microvms.ts';

export const createMicrovmAuthToken = defineOperation({
  name: 'CreateMicrovmAuthToken',
  method: 'POST',
  path: '/2025-09-09/microvms/{microvmIdentifier}/auth-token',
  status: 200,
  input,
  async handle({ microvmIdentifier, expirationInMinutes, allowedPorts }, { api }) {
    const { maximumTokenMinutes } = api.limits;
    if (expirationInMinutes > maximumTokenMinutes)
      throw tokenTooLong(expirationInMinutes, maximumTokenMinutes);
    for (const grant of allowedPorts) {
      if ('range' in grant && grant.range.startPort > grant.range.endPort) {
        throw reversedPortRange(grant.range.startPort, grant.range.endPort);
      }
    }
    const vm = await api.services.microvms.get(microvmIdentifier);
    // Unrecorded; a token for a microVM that is gone opens nothing.
    if (vm.state === 'TERMINATED') throw microvmTerminated(vm.microvmId);
    const token = await api.services.mintToken(vm.microvmId, allowedPorts, expirationInMinutes);
    return { authToken: { 'X-aws-proxy-auth': token } };
  },
});
