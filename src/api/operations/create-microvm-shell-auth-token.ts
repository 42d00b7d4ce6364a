import {
  exclusiveAllIngress,
  microvmTerminated,
  type ServiceError,
  shellConnectorRequired,
  tokenTooLong,
} from '../../errors.ts';
import { managedConnectorOf } from '../../model/arn.ts';
import { defineOperation } from '../operation.ts';
import { createShellAuthToken as input } from '../shapes/microvms.ts';

export const createMicrovmShellAuthToken = defineOperation({
  name: 'CreateMicrovmShellAuthToken',
  method: 'POST',
  path: '/2025-09-09/microvms/{microvmIdentifier}/shell-auth-token',
  status: 200,
  input,
  async handle({ microvmIdentifier, expirationInMinutes }, { api }) {
    const { maximumTokenMinutes } = api.limits;
    if (expirationInMinutes > maximumTokenMinutes)
      throw tokenTooLong(expirationInMinutes, maximumTokenMinutes);
    const vm = await api.services.microvms.get(microvmIdentifier);
    const refusal = refuseShell(vm.ingressNetworkConnectors);
    if (refusal !== undefined) throw refusal;
    if (vm.state === 'TERMINATED') throw microvmTerminated(vm.microvmId);
    const token = await api.services.mintToken(vm.microvmId, 'shell', expirationInMinutes);
    return { authToken: { 'X-aws-proxy-auth': token } };
  },
});

/** Spec section 1.5: the combination of connectors is judged here, not when the microVM is run. */
function refuseShell(connectors: readonly string[]): ServiceError | undefined {
  const managed = connectors.map(managedConnectorOf);
  if (managed.includes('ALL_INGRESS')) return connectors.length > 1 ? exclusiveAllIngress() : undefined;
  return managed.includes('SHELL_INGRESS') ? undefined : shellConnectorRequired();
}
