/** Exit statuses of the command line. */
export const exitCodes = { ok: 0, failure: 1, usage: 2, interrupted: 130 } as const;

/** A failure to be told to a person: what happened and, where there is one, what to do about it. */
export class CliError extends Error {
  override readonly name: string = 'CliError';
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.hint = hint;
  }
}

/** The command was called wrongly. */
export class UsageError extends CliError {
  override readonly name = 'UsageError';
}

/** A command for a microVM could not be started there; `status` is what a shell would end with. */
export class CannotRunError extends CliError {
  override readonly name = 'CannotRunError';
  readonly status: 126 | 127;

  /** @param errno such as `ENOENT` */
  constructor(message: string, errno: string) {
    super(message);
    this.status = errno === 'ENOENT' ? 127 : 126;
  }
}

/** Not a failure of ours: a command run for a person ended with this status, and so do we. */
export class ExitStatus extends Error {
  override readonly name = 'ExitStatus';
  readonly status: number;

  constructor(status: number) {
    super(`the command ended with ${status}`);
    this.status = status;
  }
}

const startHint = 'Start it with `npm start` (or `dormouse serve`), or name another with --endpoint-url.';

export function serverUnknown(dataDirectory: string): CliError {
  return new CliError(`No server is known: ${dataDirectory} has no server.json.`, startHint);
}

export function serverUnreachable(endpoint: string, cause: unknown): CliError {
  return new CliError(`The Dormouse server at ${endpoint} does not answer.`, startHint, cause);
}

/** Message and hint of anything thrown, for a person. */
export function describe(
  error: unknown,
  endpoint?: string,
): { readonly message: string; readonly hint?: string } {
  if (error instanceof CliError) {
    return { message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) };
  }
  if (isConnectionFailure(error)) return describe(serverUnreachable(endpoint ?? 'its address', error));
  if (!(error instanceof Error)) return { message: String(error) };
  // Errors of the official clients carry the type in `name`.
  const service = '$fault' in error && error.name !== 'Error' ? `${error.name}: ` : '';
  return { message: `${service}${error.message || error.name}` };
}

function isConnectionFailure(error: unknown): boolean {
  if (error instanceof AggregateError) return error.errors.some(isConnectionFailure);
  if (!(error instanceof Error)) return false;
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ECONNREFUSED' || code === 'ENOTFOUND' || code === 'EHOSTUNREACH';
}
