/** A guest's attempt to reach out failed; `errno` is what the guest is told. */
export class GuestNetworkError extends Error {
  override readonly name = 'GuestNetworkError';
  readonly errno: string;

  constructor(errno: string, message: string) {
    super(message);
    this.errno = errno;
  }
}
