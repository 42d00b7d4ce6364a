export type LogsErrorCode =
  | 'InvalidParameterException'
  | 'LimitExceededException'
  | 'ResourceAlreadyExistsException'
  | 'ResourceNotFoundException'
  | 'TooManyTagsException';

/** A refusal that only CloudWatch Logs knows. */
export class LogsError extends Error {
  override readonly name = 'LogsError';
  readonly code: LogsErrorCode;

  constructor(code: LogsErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function noSuchLogGroup(): LogsError {
  return new LogsError('ResourceNotFoundException', 'The specified log group does not exist.');
}

export function noSuchLogStream(): LogsError {
  return new LogsError('ResourceNotFoundException', 'The specified log stream does not exist.');
}

export function invalidLogToken(): LogsError {
  return new LogsError('InvalidParameterException', 'The specified nextToken is invalid.');
}

/** Wording unrecorded. */
export function contradictingMembers(one: string, other: string): LogsError {
  return new LogsError('InvalidParameterException', `${one} and ${other} cannot be given together.`);
}

/** Wording unrecorded. */
export function neitherMember(one: string, other: string): LogsError {
  return new LogsError('InvalidParameterException', `Either ${one} or ${other} must be given.`);
}

/** Wording unrecorded. */
export function tooManyLiveTails(most: number): LogsError {
  return new LogsError('LimitExceededException', `There are ${most} sessions of StartLiveTail already.`);
}

/** Unrecorded: the service takes JSON, column and expression patterns too. */
export function unsupportedFilterPattern(): LogsError {
  return new LogsError(
    'InvalidParameterException',
    'Invalid filter pattern: only words, "phrases", -words and ?words are supported.',
  );
}
