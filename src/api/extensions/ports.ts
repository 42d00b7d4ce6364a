import { notImplemented } from '../../errors.ts';
import { type PublishedPort, portProtocols } from '../../model/published-port.ts';
import type { Api } from '../operation.ts';
import type { PublishedPortService } from '../published-port-service.ts';
import { integer, oneOf } from '../shapes/shape.ts';

export const portNumber = integer({ min: 1, max: 65_535 });
export const portProtocol = oneOf(portProtocols);

/** @throws {ServiceError} NotImplementedException */
export function publishedPorts(api: Api): PublishedPortService {
  const { publishedPorts: service } = api.services;
  if (service === undefined) throw notImplemented('Publishing of ports');
  return service;
}

export function portToWire({ protocol, guestPort, hostPort, allow }: PublishedPort): object {
  return { protocol, port: guestPort, hostPort, allow };
}
