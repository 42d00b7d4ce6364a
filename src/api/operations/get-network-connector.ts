import { defineOperation } from '../operation.ts';
import { connectorOnly } from '../shapes/connectors.ts';
import { connectorDetailsToWire } from '../wire/connector.ts';

export const getNetworkConnector = defineOperation({
  name: 'GetNetworkConnector',
  method: 'GET',
  path: '/2026-04-04/network-connectors/{Identifier}',
  status: 200,
  input: connectorOnly,
  async handle({ Identifier }, { api }) {
    return connectorDetailsToWire(await api.services.connectors.get(Identifier));
  },
});
