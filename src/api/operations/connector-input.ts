import { invalidParameter } from '../../errors/connectors.ts';
import type { ConnectorConfiguration } from '../../model/connector.ts';
import type { createConnector } from '../shapes/connectors.ts';
import type { Infer } from '../shapes/shape.ts';

type WireConfiguration = Infer<typeof createConnector>['Configuration'];

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
  return {
    subnetIds: SubnetIds,
    networkProtocol: NetworkProtocol,
    ...(SecurityGroupIds === undefined ? {} : { securityGroupIds: SecurityGroupIds }),
  };
}
