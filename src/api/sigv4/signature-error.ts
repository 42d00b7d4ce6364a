/** What is wrong with a signature; each service words it in its own way. */
export type SignatureFault =
  | 'missing'
  | 'incomplete'
  | 'unknown-key'
  | 'token-invalid'
  | 'token-expired'
  | 'scope'
  | 'clock'
  | 'expired'
  | 'mismatch'
  | 'payload'
  | 'unsigned-headers';

export class SignatureError extends Error {
  override readonly name = 'SignatureError';
  readonly fault: SignatureFault;

  constructor(fault: SignatureFault, message: string) {
    super(message);
    this.fault = fault;
  }
}
