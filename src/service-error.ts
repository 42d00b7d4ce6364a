/** What every error that a client of the control plane can see is made of. */

export type ServiceErrorCode =
  | 'AccessDeniedException'
  | 'ConflictException'
  | 'ExpiredTokenException'
  | 'IncompleteSignatureException'
  | 'InsufficientCapacityException'
  | 'InternalServerException'
  | 'InvalidClientTokenId'
  | 'InvalidParameterValueException'
  | 'InvalidSignatureException'
  | 'MissingAuthenticationTokenException'
  | 'NetworkConnectorLimitExceededException'
  | 'NotImplementedException'
  | 'RequestEntityTooLargeException'
  | 'ResourceConflictException'
  | 'ResourceNotFoundException'
  | 'SerializationException'
  | 'ServiceException'
  | 'ServiceQuotaExceededException'
  | 'ThrottlingException'
  | 'TooManyRequestsException'
  | 'UnknownOperationException'
  | 'UnrecognizedClientException'
  | 'ValidationException';

/** HTTP status of each type of error. */
export const httpStatus: Readonly<Record<ServiceErrorCode, number>> = {
  AccessDeniedException: 403,
  ConflictException: 409,
  ExpiredTokenException: 403,
  IncompleteSignatureException: 400,
  InsufficientCapacityException: 500,
  InternalServerException: 500,
  InvalidClientTokenId: 403,
  InvalidParameterValueException: 400,
  InvalidSignatureException: 403,
  MissingAuthenticationTokenException: 403,
  NetworkConnectorLimitExceededException: 400,
  NotImplementedException: 501,
  RequestEntityTooLargeException: 413,
  ResourceConflictException: 409,
  ResourceNotFoundException: 404,
  SerializationException: 400,
  ServiceException: 500,
  ServiceQuotaExceededException: 402,
  ThrottlingException: 429,
  TooManyRequestsException: 429,
  UnknownOperationException: 404,
  UnrecognizedClientException: 403,
  ValidationException: 400,
};

export interface ServiceErrorOptions {
  /** Further members of the error body, such as `resourceId: null`. */
  readonly members?: Readonly<Record<string, string | number | null>>;
  readonly retryAfterSeconds?: number;
  readonly cause?: unknown;
}

/** A failure with a place on the wire: an error type, an HTTP status and a message meant for the client. */
export class ServiceError extends Error {
  override readonly name = 'ServiceError';
  readonly code: ServiceErrorCode;
  readonly members: Readonly<Record<string, string | number | null>>;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ServiceErrorCode, message: string, options: ServiceErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.members = options.members ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
  }

  get status(): number {
    return httpStatus[this.code];
  }
}
