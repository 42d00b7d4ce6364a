/** `allowedPorts` of an endpoint token (spec section 5.1). */
export type PortGrant =
  | { readonly port: number }
  | { readonly range: { readonly startPort: number; readonly endPort: number } }
  | { readonly allPorts: Record<string, never> };

export function grantsPort(grants: readonly PortGrant[], port: number): boolean {
  return grants.some((grant) => {
    if ('port' in grant) return grant.port === port;
    if ('range' in grant) return grant.range.startPort <= port && port <= grant.range.endPort;
    return true;
  });
}
