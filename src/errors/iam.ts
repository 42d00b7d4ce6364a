/** Errors of roles as IAM names them. */

export type IamErrorCode =
  | 'DeleteConflict'
  | 'EntityAlreadyExists'
  | 'InvalidInput'
  | 'LimitExceeded'
  | 'MalformedPolicyDocument'
  | 'NoSuchEntity';

export const iamStatus: Readonly<Record<IamErrorCode, number>> = {
  DeleteConflict: 409,
  EntityAlreadyExists: 409,
  InvalidInput: 400,
  LimitExceeded: 409,
  MalformedPolicyDocument: 400,
  NoSuchEntity: 404,
};

export class IamError extends Error {
  override readonly name = 'IamError';
  readonly code: IamErrorCode;

  constructor(code: IamErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function noSuchRole(name: string): IamError {
  return new IamError('NoSuchEntity', `The role with name ${name} cannot be found.`);
}

export function noSuchRolePolicy(policy: string): IamError {
  return new IamError('NoSuchEntity', `The role policy with name ${policy} cannot be found.`);
}

export function roleNameTaken(name: string): IamError {
  return new IamError('EntityAlreadyExists', `Role with name ${name} already exists.`);
}

export function roleHasPolicies(attached: boolean): IamError {
  return new IamError(
    'DeleteConflict',
    attached
      ? 'Cannot delete entity, must detach all policies first.'
      : 'Cannot delete entity, must delete policies first.',
  );
}

/** @param known what can be attached here; the sentence before it is the service's */
export function noSuchManagedPolicy(arn: string, known: readonly string[]): IamError {
  return new IamError(
    'NoSuchEntity',
    `Policy ${arn} does not exist or is not attachable. This server knows ${known.join(', ')}; ` +
      'write any other as an inline policy.',
  );
}

export function notAttached(arn: string): IamError {
  return new IamError('NoSuchEntity', `Policy ${arn} was not found.`);
}

export function malformedDocument(why: string): IamError {
  return new IamError('MalformedPolicyDocument', why);
}

export function limitExceeded(what: string, most: number): IamError {
  return new IamError('LimitExceeded', `Cannot exceed quota for ${what}: ${most}`);
}

export function invalidInput(why: string): IamError {
  return new IamError('InvalidInput', why);
}
