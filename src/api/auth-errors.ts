import { ServiceError, type ServiceErrorCode } from '../errors.ts';
import type { SignatureError, SignatureFault } from './sigv4/signature-error.ts';

/** The JSON services' names for what can be wrong with a signature. */
const codes: Readonly<Record<SignatureFault, ServiceErrorCode>> = {
  missing: 'MissingAuthenticationTokenException',
  incomplete: 'IncompleteSignatureException',
  'unknown-key': 'UnrecognizedClientException',
  'token-invalid': 'UnrecognizedClientException',
  'token-expired': 'ExpiredTokenException',
  scope: 'InvalidSignatureException',
  clock: 'InvalidSignatureException',
  expired: 'InvalidSignatureException',
  mismatch: 'InvalidSignatureException',
  payload: 'InvalidSignatureException',
  'unsigned-headers': 'InvalidSignatureException',
};

export function signatureRefusal(error: SignatureError): ServiceError {
  return new ServiceError(codes[error.fault], error.message);
}
