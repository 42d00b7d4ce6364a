import type { MicrovmService } from '../microvms/microvm-service.ts';
import { managedConnectorOf } from '../model/arn.ts';
import type { Microvm } from '../model/microvm.ts';
import type { Exchange } from './exchange.ts';
import { Lru } from './lru.ts';
import { RefusedError, refusals } from './refusals.ts';
import { allowsPort, type TokenClaims } from './token-payload.ts';
import type { TokenMemory, Tokens, Verification } from './tokens.ts';

/** Where a request goes when neither header nor sub-protocol says so (spec section 5.2). */
const defaultPort = 8080;

/** A client that has proved who it may talk to. */
export interface Admission {
  readonly vm: Microvm;
  readonly claims: TokenClaims;
  readonly tokenId: string;
}

export interface Doorkeeper {
  /** The endpoint id a request's authority names, if it is one of our host names. */
  endpointIdOf(authority: string | undefined): string | undefined;
  /**
   * @returns at once where token and microVM are known
   * @throws {RefusedError} with the recorded answer
   */
  admit(
    client: Pick<Exchange, 'serverName' | 'memory'> & {
      readonly fields: { readonly authority: string | undefined };
    },
    token: string | undefined,
  ): Admission | Promise<Admission>;
}

export function createDoorkeeper(options: {
  readonly domain: string;
  readonly tokens: Pick<Tokens, 'verify' | 'recall'>;
  readonly backend: Pick<MicrovmService, 'findByEndpoint'>;
}): Doorkeeper {
  const { domain, tokens, backend } = options;
  const suffix = `.${domain.toLowerCase()}`;
  const known = new Lru<string>(4096);

  function endpointIdOf(authority: string | undefined): string | undefined {
    if (authority === undefined) return undefined;
    const remembered = known.get(authority);
    if (remembered !== undefined) return remembered;
    const host = authority.toLowerCase().replace(/:\d{1,5}$/, '');
    const label = host.endsWith(suffix) ? host.slice(0, -suffix.length) : '';
    if (!/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(label)) return undefined;
    known.set(authority, label);
    return label;
  }

  async function verified(
    token: string,
    memory: TokenMemory,
    endpointId: string | undefined,
  ): Promise<Admission> {
    const verification = await tokens.verify(token, memory);
    if (verification.status === 'malformed') throw new RefusedError(refusals.missingAuthentication);
    return await admitted(verification, endpointId);
  }

  function admitted(
    verification: Verification,
    endpointId: string | undefined,
  ): Admission | Promise<Admission> {
    const vm = endpointId === undefined ? undefined : backend.findByEndpoint(endpointId);
    return vm instanceof Promise
      ? vm.then((found) => matched(verification, found))
      : matched(verification, vm);
  }

  return {
    endpointIdOf,
    admit({ fields, serverName, memory }, token) {
      const endpointId = endpointIdOf(fields.authority);
      const connectedTo = endpointIdOf(serverName);
      if (connectedTo !== undefined && connectedTo !== endpointId)
        throw new RefusedError(refusals.misdirected);
      if (token === undefined) throw new RefusedError(refusals.missingAuthentication);
      const known = tokens.recall(token, memory);
      return known === undefined ? verified(token, memory, endpointId) : admitted(known, endpointId);
    },
  };
}

/** @throws {RefusedError} */
function matched(verification: Verification, vm: Microvm | undefined): Admission {
  if (vm === undefined || verification.status !== 'valid' || verification.claims.microvmId !== vm.microvmId) {
    throw new RefusedError(refusals.authenticationFailed);
  }
  return { vm, claims: verification.claims, tokenId: verification.tokenId };
}

/**
 * Chooses the port (spec section 5.2) and checks that token and microVM allow it.
 * @param named values of the header for it
 * @param subprotocolPort what a WebSocket client named in its sub-protocols
 * @throws {RefusedError}
 */
export function choosePort(
  admission: Admission,
  named: readonly string[],
  subprotocolPort: string | undefined,
): number {
  if (named.length > 1) throw new RefusedError(refusals.malformedPort);
  const text = named[0] ?? subprotocolPort;
  return checkPort(admission, text === undefined ? defaultPort : parsePort(text));
}

/** @throws {RefusedError} */
export function parsePort(text: string): number {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) throw new RefusedError(refusals.malformedPort);
  return port;
}

/** @throws {RefusedError} */
export function checkPort(admission: Admission, port: number): number {
  if (!allowsPort(admission.claims, port) || !hasIngress(admission.vm, 'HTTP_INGRESS')) {
    throw new RefusedError(refusals.portDenied);
  }
  return port;
}

/** Without connectors a microVM has HTTP ingress (spec section 7). What a refusal looks like is unrecorded. */
export function hasIngress(vm: Microvm, kind: 'HTTP_INGRESS' | 'SHELL_INGRESS'): boolean {
  const connectors = vm.ingressNetworkConnectors.map(managedConnectorOf);
  if (connectors.length === 0) return kind === 'HTTP_INGRESS';
  return connectors.includes(kind) || connectors.includes('ALL_INGRESS');
}
