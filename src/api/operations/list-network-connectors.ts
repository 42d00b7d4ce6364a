import { defineOperation } from '../operation.ts';
import { paginate } from '../page-token.ts';
import { listConnectors } from '../shapes/connectors.ts';
import { connectorItemToWire } from '../wire/connector.ts';

/** The model allows pages of 100, the live service gives 50 (spec section 1.9). */
const largestPage = 50;

export const listNetworkConnectors = defineOperation({
  name: 'ListNetworkConnectors',
  method: 'GET',
  path: '/2026-04-04/network-connectors',
  status: 200,
  input: listConnectors,
  async handle({ State, Marker, MaxItems }, { api }) {
    const { connectors } = api.services;
    const { items, nextToken } = await paginate(
      api.pageTokens,
      { operation: 'ListNetworkConnectors', filter: { State } },
      {
        maxResults: Math.min(MaxItems ?? largestPage, largestPage),
        ...(Marker === undefined ? {} : { nextToken: Marker }),
      },
      (page) => connectors.list(page, State),
      connectorItemToWire,
    );
    return { NetworkConnectors: items, ...(nextToken === null ? {} : { NextMarker: nextToken }) };
  },
});
