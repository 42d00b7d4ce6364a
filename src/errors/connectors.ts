import { ServiceError, validation } from '../errors.ts';

/** What clients see of connectors and egress policies going wrong. Types are modelled (spec section 1.9). */

export function malformedConnectorArn(): ServiceError {
  return validation('Malformed network connector ARN');
}

export function unknownManagedConnector(arn: string): ServiceError {
  return validation(`Unrecognized managed network connector ARN: ${arn}`);
}

export function invalidParameter(message: string): ServiceError {
  return new ServiceError('InvalidParameterValueException', message);
}

function resourceConflict(message: string): ServiceError {
  return new ServiceError('ResourceConflictException', message);
}

export function connectorNotFound(identifier: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `Network connector not found for: ${identifier}`);
}

/** Wording unrecorded. The model takes ARNs for names, too; the service documents 64 plain characters. */
export function invalidConnectorName(name: string): ServiceError {
  return invalidParameter(
    `Invalid network connector name: ${name}. A name has 1 to 64 letters, digits, hyphens and underscores.`,
  );
}

/** Wording unrecorded. */
export function connectorNameTaken(name: string): ServiceError {
  return resourceConflict(`A network connector with the name '${name}' already exists in this account`);
}

/** Wording and number unrecorded. */
export function connectorQuotaExceeded(most: number): ServiceError {
  return new ServiceError(
    'NetworkConnectorLimitExceededException',
    `The account has reached the maximum number of network connectors allowed: ${most}`,
  );
}

/** Unrecorded; the service says that a connector should not be changed while in use. */
export function connectorInUse(arn: string, user: string): ServiceError {
  return resourceConflict(`Network connector ${arn} cannot be deleted while it is in use by ${user}`);
}

/** Unrecorded. */
export function connectorBusy(arn: string, state: string): ServiceError {
  return resourceConflict(`Network connector ${arn} cannot be changed in its current state: ${state}`);
}

/**
 * Unrecorded: here the ids of subnets and security groups are names of egress policies, and one that names none
 * is refused at once instead of making a connector that fails later.
 */
export function unknownEgressPolicies(names: readonly string[]): ServiceError {
  const [first = ''] = names;
  return invalidParameter(
    `There is no egress policy with the name ${names.join(' or ')}. ` +
      `Subnet and security group ids name egress policies of this server; to make one: dormouse egress set ${first} --allow '*.example.com:443'`,
  );
}

/** Type and wording unrecorded; the service documents that a connector has to be ACTIVE to be used. */
export function connectorNotActive(arn: string, state: string): ServiceError {
  return validation(`Network connector ${arn} is not ACTIVE but ${state}`);
}

/** Unrecorded: customer connectors are for egress only. */
export function connectorNotForIngress(arn: string): ServiceError {
  return validation(`Network connector ${arn} is for egress and cannot be used for ingress`);
}

/** Extension. */
export function invalidEgressPolicy(problem: string): ServiceError {
  return validation(`Invalid egress policy: ${problem}`);
}

/** Extension. */
export function egressPolicyNotFound(name: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `Egress policy not found: ${name}`);
}

/** Extension. */
export function egressPolicyInUse(name: string, connector: string): ServiceError {
  return new ServiceError(
    'ConflictException',
    `The egress policy ${name} cannot be deleted while the network connector '${connector}' uses it`,
  );
}

/** Extension. */
export function tooManyEgressPolicies(most: number): ServiceError {
  return validation(`There are ${most} egress policies already, the most there can be`);
}
