import type { Connector } from '../../model/connector.ts';

/** Connectors on the wire. Here absent means absent: no nulls (spec section 1.9). */

/** Create, Update and Delete answer with this; Get adds to it. */
export function connectorToWire(connector: Connector): object {
  const { subnetIds, securityGroupIds, networkProtocol } = connector.configuration;
  return {
    Arn: connector.arn,
    Id: connector.id,
    Name: connector.name,
    State: connector.state,
    OperatorRole: connector.operatorRole,
    Configuration: {
      VpcEgressConfiguration: {
        SubnetIds: subnetIds,
        SecurityGroupIds: securityGroupIds,
        NetworkProtocol: networkProtocol,
        AssociatedComputeResourceTypes: ['MicroVm'],
      },
    },
  };
}

export function updatedConnectorToWire(connector: Connector): object {
  return {
    ...connectorToWire(connector),
    LastUpdateStatus: connector.lastUpdate?.status,
    LastUpdateStatusReason: connector.lastUpdate?.reason,
    LastModified: new Date(connector.modifiedAt).toISOString(),
  };
}

/** The service tells no version of an active one. */
export function connectorDetailsToWire(connector: Connector): object {
  return {
    ...updatedConnectorToWire(connector),
    Version: connector.state === 'ACTIVE' ? undefined : connector.version,
    StateReason: connector.stateReason,
  };
}

export function connectorItemToWire(connector: Connector): object {
  return {
    Arn: connector.arn,
    Id: connector.id,
    LastModified: new Date(connector.modifiedAt).toISOString(),
    Name: connector.name,
    State: connector.state,
    Type: 'VPC_EGRESS',
  };
}
