import { type ServiceError, validation } from '../errors.ts';

/** Unrecorded: to take a key and not to encrypt with it would be a lie. */
export function customerKeyUnsupported(): ServiceError {
  return validation(
    'Encryption with a customer managed key is not supported by Dormouse: leave kmsKeyIdentifier out, ' +
      'and encrypt the disk of the data directory instead.',
  );
}
