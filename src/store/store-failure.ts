import pg from 'pg';

/** The database server, or the way to it, cannot serve now; what was asked of it may or may not have been done. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
  readonly code = 'ERR_STORE_UNAVAILABLE';
}

/**
 * Classes of SQLSTATE in which a statement may go through when it is tried again: the connection, a transaction that
 * gave way to another, resources (a full disk among them), an operator's intervention, the server's own system.
 */
const passing: ReadonlySet<string> = new Set(['08', '40', '53', '57', '58']);

/** The error as the product tells it: failures of the server as {@link StoreUnavailableError}, others as they are. */
export function storeFailure(error: unknown): Error {
  if (!(error instanceof Error)) return new StoreUnavailableError(String(error));
  // What the server has not said is a socket's error, or the driver's word that it is closed. The code does not tell:
  // EPIPE has the form of a SQLSTATE.
  const ofServer = error instanceof pg.DatabaseError;
  if (error instanceof RangeError || (ofServer && !passing.has(error.code?.slice(0, 2) ?? ''))) return error;
  return new StoreUnavailableError(`the database cannot be used now: ${error.message}`, { cause: error });
}
