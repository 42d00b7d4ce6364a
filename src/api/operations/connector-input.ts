import { notImplemented, ServiceError } from '../../errors.ts';
import type { ConnectorConfiguration, ConnectorService } from '../connector-service.ts';
import type { Api } from '../operation.ts';
import type { createConnector } from '../shapes/connectors.ts';
import type { Infer } from '../shapes/shape.ts';

type WireConfiguration = Infer<typeof createConnector>['Configuration'];

/** @throws {ServiceError} NotImplemented where there are no connectors */
export function connectorsOf(api: Api, operation: string): ConnectorService {
  const { connectors } = api.services;
  if (connectors === undefined) throw notImplemented(operation);
  return connectors;
}

/** Refusals the service makes beyond its model; the first two texts are recorded (spec section 1.9). */
export function requireClientToken(token: string | undefined): string {
  if (token === undefined) throw invalidParameter('ClientToken is a required field');
  return token;
}

export function requireOperatorRole(role: string | undefined): string {
  if (role === undefined) {
    throw invalidParameter('NetworkConnectorOperatorRole is required for VPC_EGRESS connector type');
  }
  return role;
}

export function readConfiguration({
  VpcEgressConfiguration: egress,
}: WireConfiguration): ConnectorConfiguration {
  const { SubnetIds, SecurityGroupIds, NetworkProtocol, AssociatedComputeResourceTypes } = egress ?? {};
  if (SubnetIds === undefined) throw invalidParameter('SubnetIds is a required field');
  if (NetworkProtocol === undefined) throw invalidParameter('NetworkProtocol is a required field');
  if (AssociatedComputeResourceTypes === undefined) {
    throw invalidParameter('AssociatedComputeResourceTypes is a required field');
  }
  return { subnetIds: SubnetIds, securityGroupIds: SecurityGroupIds ?? [], networkProtocol: NetworkProtocol };
}

function invalidParameter(message: string): ServiceError {
  return new ServiceError('InvalidParameterValueException', message);
}
