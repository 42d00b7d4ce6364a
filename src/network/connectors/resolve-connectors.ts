import {
  connectorNotForIngress,
  malformedConnectorArn,
  unknownManagedConnector,
} from '../../errors/connectors.ts';
import { type ManagedConnector, managedConnectorArn, managedConnectorOf } from '../../model/arn.ts';

const connectorArn = /^arn:[^:]+:lambda:[^:]*:[^:]+:network-connector:.+$/;
const managedArn = /^arn:[^:]+:lambda:[^:]*:aws:network-connector:/;

/** What is known of customer connectors. */
export interface KnownConnectors {
  /** @throws {ServiceError} no such connector, or not ACTIVE */
  requireActive(arn: string): void;
}

/**
 * Egress connectors of a new VM or image; none given means the default (spec section 7).
 * @throws {ServiceError} an ARN is malformed, names no connector, or one that is not ACTIVE
 */
export function resolveEgress(
  given: readonly string[] | undefined,
  fallback: readonly string[],
  known: KnownConnectors,
): readonly string[] {
  const resolved = resolveConnectors(given, fallback);
  for (const arn of resolved.filter(isCustomer)) known.requireActive(arn);
  return resolved;
}

/**
 * Ingress connectors of a new VM, likewise.
 * @throws {ServiceError} an ARN is malformed or names no managed connector
 */
export function resolveIngress(given: readonly string[] | undefined, region: string): readonly string[] {
  const resolved = resolveConnectors(given, [managedConnectorArn(region, 'HTTP_INGRESS')]);
  const customer = resolved.find(isCustomer);
  if (customer !== undefined) throw connectorNotForIngress(customer);
  return resolved;
}

function resolveConnectors(
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

function isCustomer(arn: string): boolean {
  return !managedArn.test(arn);
}

export function includesConnector(arns: readonly string[], ...wanted: readonly ManagedConnector[]): boolean {
  return arns.some((arn) => wanted.some((connector) => managedConnectorOf(arn) === connector));
}
