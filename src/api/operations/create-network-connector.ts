import { ownClientToken } from '../client-token.ts';
import { defineOperation } from '../operation.ts';
import { createConnector } from '../shapes/connectors.ts';
import { connectorToWire } from '../wire/connector.ts';
import { readConfiguration, requireClientToken, requireOperatorRole } from './connector-input.ts';

export const createNetworkConnector = defineOperation({
  name: 'CreateNetworkConnector',
  method: 'POST',
  path: '/2026-04-04/network-connectors',
  status: 202,
  input: createConnector,
  async handle(request, call) {
    const { connectors } = call.api.services;
    const connector = await connectors.create({
      name: request.Name,
      clientToken: ownClientToken(requireClientToken(request.ClientToken), call),
      operatorRole: requireOperatorRole(request.OperatorRole),
      configuration: readConfiguration(request.Configuration),
      tags: request.Tags ?? {},
    });
    return connectorToWire(connector);
  },
});
