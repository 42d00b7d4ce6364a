import { malformedConnectorArn, unknownManagedConnector } from '../errors.ts';
import { type ManagedConnector, managedConnectorArn, managedConnectorOf } from '../model/arn.ts';

const connectorArn = /^arn:[^:]+:lambda:[^:]*:[^:]+:network-connector:.+$/;
const managedArn = /^arn:[^:]+:lambda:[^:]*:aws:network-connector:/;

/**
 * Connectors of a new VM; none given means the default (spec section 7).
 * @throws {ServiceError} an ARN is malformed or names no managed connector
 */
export function resolveConnectors(
  given: readonly string[] | undefined,
  fallback: readonly string[],
): readonly string[] {
  if (given === undefined || given.length === 0) return fallback;
  for (const arn of given) {
    if (!connectorArn.test(arn)) throw malformedConnectorArn();
    if (managedArn.test(arn) && managedConnectorOf(arn) === undefined) throw unknownManagedConnector(arn);
  }
  return given;
}

export function defaultIngress(region: string): readonly string[] {
  return [managedConnectorArn(region, 'HTTP_INGRESS')];
}

export function includesConnector(arns: readonly string[], ...wanted: readonly ManagedConnector[]): boolean {
  return arns.some((arn) => wanted.some((connector) => managedConnectorOf(arn) === connector));
}
