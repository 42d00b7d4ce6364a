import { defineOperation } from '../operation.ts';
import { connectorOnly } from '../shapes/connectors.ts';
import { connectorToWire } from '../wire/connector.ts';

export const deleteNetworkConnector = defineOperation({
  name: 'DeleteNetworkConnector',
  method: 'DELETE',
  path: '/2026-04-04/network-connectors/{Identifier}',
  status: 202,
  input: connectorOnly,
  async handle({ Identifier }, { api }) {
    return connectorToWire(await api.services.connectors.delete(Identifier));
  },
});
