import { customerKeyUnsupported } from '../errors/unsupported.ts';

/**
 * Lets no request pass that wants something encrypted with a key of its own.
 * @throws {ServiceError}
 */
export function refuseCustomerKey({ kmsKeyIdentifier }: { readonly kmsKeyIdentifier?: string }): void {
  if (kmsKeyIdentifier !== undefined) throw customerKeyUnsupported();
}
