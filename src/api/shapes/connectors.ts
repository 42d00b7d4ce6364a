import { connectorStates } from '../../model/connector.ts';
import { tags } from './common.ts';
import {
  inPath,
  inQuery,
  integer,
  list,
  oneOf,
  optional,
  required,
  structure,
  text,
  union,
} from './shape.ts';

/** Requests about customer network connectors (spec section 1.9). */

const name = text({
  min: 1,
  max: 140,
  pattern:
    '(arn:aws[a-zA-Z-]*:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:\\d{12}:' +
    'network-connector:[a-zA-Z0-9-_]+(:[1-9]|[1-9][0-9]+)?)|[a-zA-Z0-9_-]{1,64}',
});
const operatorRole = text({
  min: 0,
  max: 10_000,
  pattern: 'arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+',
});
const clientToken = text({ min: 1, max: 64 });
const identifier = text({ min: 1, max: 140 });

const configuration = union({
  VpcEgressConfiguration: optional(
    structure({
      SubnetIds: optional(
        list(text({ min: 0, max: 1024, pattern: 'subnet-[0-9a-z]*' }), { min: 1, max: 16 }),
      ),
      SecurityGroupIds: optional(
        list(text({ min: 0, max: 1024, pattern: 'sg-[0-9a-zA-Z]*' }), { min: 0, max: 5 }),
      ),
      NetworkProtocol: optional(oneOf(['IPv4', 'DualStack'])),
      AssociatedComputeResourceTypes: optional(list(oneOf(['MicroVm']), { min: 1, max: 1 })),
    }),
  ),
});

export const createConnector = structure({
  Name: required(name),
  Configuration: required(configuration),
  OperatorRole: optional(operatorRole),
  ClientToken: optional(clientToken),
  Tags: optional(tags),
});

export const updateConnector = structure({
  Identifier: inPath(identifier),
  Configuration: optional(configuration),
  OperatorRole: optional(operatorRole),
  ClientToken: optional(clientToken),
});

export const connectorOnly = structure({ Identifier: inPath(identifier) });

export const listConnectors = structure({
  State: inQuery(optional(oneOf(connectorStates))),
  Marker: inQuery(optional(text())),
  MaxItems: inQuery(optional(integer({ min: 1, max: 100 }))),
});
