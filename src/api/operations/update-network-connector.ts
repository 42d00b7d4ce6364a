import { ownClientToken } from '../client-token.ts';
import { defineOperation } from '../operation.ts';
import { updateConnector } from '../shapes/connectors.ts';
import { updatedConnectorToWire } from '../wire/connector.ts';
import { readConfiguration, requireClientToken } from './connector-input.ts';

export const updateNetworkConnector = defineOperation({
  name: 'UpdateNetworkConnector',
  method: 'PUT',
  path: '/2026-04-04/network-connectors/{Identifier}',
  status: 202,
  input: updateConnector,
  async handle({ Identifier, Configuration, OperatorRole, ClientToken }, call) {
    const connector = await call.api.services.connectors.update(Identifier, {
      clientToken: ownClientToken(requireClientToken(ClientToken), call),
      operatorRole: OperatorRole,
      configuration: Configuration === undefined ? undefined : readConfiguration(Configuration),
    });
    return updatedConnectorToWire(connector);
  },
});
