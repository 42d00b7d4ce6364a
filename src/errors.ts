/**
 * Every error a client of the control plane can see. Messages copy the service where they are recorded
 * (spec section 1.5); a message marked `unrecorded` is our own wording for a case nobody has recorded.
 */

import { ServiceError } from './service-error.ts';

export { ServiceError, type ServiceErrorCode } from './service-error.ts';

const noResource = { resourceId: null, resourceType: null } as const;
const noQuota = { quotaCode: null, serviceCode: null, ...noResource } as const;

export function validation(message: string): ServiceError {
  return new ServiceError('ValidationException', message);
}

export function microvmNotFound(microvmId: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `MicroVM not found: ${microvmId}`, {
    members: noResource,
  });
}

export function imageNotFound(imageArn: string): ServiceError {
  return new ServiceError(
    'ResourceNotFoundException',
    `MicroVMImage not found for MicroVMImageID: ${imageArn}`,
    { members: noResource },
  );
}

export function imageVersionNotFound(imageArn: string, version: string): ServiceError {
  return new ServiceError(
    'ResourceNotFoundException',
    `MicroVMImage not found for MicroVMImage: ${imageArn}, Version: ${version}`,
    { members: noResource },
  );
}

/** Wording unrecorded; the type is modelled. */
export function imageBuildNotFound(imageArn: string, version: string, buildId: string): ServiceError {
  return new ServiceError(
    'ResourceNotFoundException',
    `MicroVMImage build not found for MicroVMImage: ${imageArn}, Version: ${version}, Build: ${buildId}`,
    { members: noResource },
  );
}

/** @param reason unrecorded: what keeps a version from being launched from that is active */
export function noActiveVersion(
  imageArn: string,
  version: string | undefined,
  reason: string | null = null,
): ServiceError {
  const because = reason === null ? '' : `: ${reason}`;
  const suffix = version === undefined ? '' : ` and version ${version}${because}`;
  return new ServiceError(
    'ResourceNotFoundException',
    `No active version found for MicroVM image ${imageArn}${suffix}`,
    { members: noResource },
  );
}

export function microvmTerminated(microvmId: string): ServiceError {
  return validation(`The MicroVM ${microvmId} has been terminated and its state cannot be changed.`);
}

export function managedImageVersionUnavailable(baseImageArn: string, version: string): ServiceError {
  return validation(`No managed MicroVM Image with arn ${baseImageArn} and version ${version} is available`);
}

export function imageNameTaken(name: string): ServiceError {
  return validation(`A MicroVM image with the name '${name}' already exists in this account`);
}

export function imageHasLiveMicrovms(): ServiceError {
  return validation('Cannot delete microvm image with running microvms.');
}

export function imageBusyForDelete(imageArn: string): ServiceError {
  return validation(`Cannot delete MicroVM image in its current state: ${imageArn}`);
}

export function imageBusyForUpdate(imageArn: string): ServiceError {
  return validation(`Cannot update MicroVM Image in its current state: ${imageArn}`);
}

export function imageAlreadyInState(state: string): ServiceError {
  return new ServiceError('ConflictException', `MicroVM Image is already in state: ${state}`, {
    members: noResource,
  });
}

export function lastImageVersion(): ServiceError {
  return validation('This is the last version. Please delete the entire image');
}

/** Wording unrecorded. */
export function imageVersionNotUsable(version: string, state: string): ServiceError {
  return validation(`MicroVM Image version ${version} cannot be activated in its current state: ${state}`);
}

export function unsupportedMemorySize(
  requested: number,
  baseImageArn: string,
  supported: readonly number[],
): ServiceError {
  return validation(
    `The requested memory size of ${requested} MiB is not supported by base MicroVM image ${baseImageArn}. ` +
      `Supported memory sizes in MiB are: [${supported.join(', ')}].`,
  );
}

/** Wording unrecorded: the `relaxed` profile takes any size within bounds. */
export function memorySizeOutOfBounds(requested: number, minimum: number, maximum: number): ServiceError {
  return validation(
    `The requested memory size of ${requested} MiB is not supported. It must be between ${minimum} and ${maximum} MiB.`,
  );
}

export function readyHookRequired(): ServiceError {
  return validation(
    'The ready (/ready) MicroVM image hook must be enabled when any MicroVM lifecycle hook (run, resume, suspend, or terminate) is enabled. ' +
      'The ready hook signals when the application has finished initializing so the snapshot is taken in a ready state.',
  );
}

/** Wording unrecorded; the service requires an explicit port (spec section 1.5). */
export function hookPortRequired(): ServiceError {
  return validation('The hooks port must be specified when any hook is enabled.');
}

export function runHookRequired(): ServiceError {
  return validation('The run hook must be enabled in the MicroVM image to pass the run hook payload');
}

export function reservedEnvironmentVariable(key: string): ServiceError {
  return validation(`Environment variable key '${key}' is reserved`);
}

/** Wording unrecorded; no process can have such a variable. */
export function invalidEnvironmentVariable(key: string): ServiceError {
  return validation(`Environment variable key '${key}' or its value is invalid`);
}

export function shellConnectorRequired(): ServiceError {
  return validation('Shell access requires SHELL_INGRESS network connector to be configured on the MicroVM.');
}

export function exclusiveAllIngress(): ServiceError {
  return validation(
    'ALL_INGRESS cannot be combined with other ingress network connectors; use HTTP_INGRESS and/or SHELL_INGRESS instead',
  );
}

export function malformedArn(): ServiceError {
  return validation("Malformed ARN - doesn't start with 'arn:'");
}

export function invalidArnFormat(value: string): ServiceError {
  return validation(`Invalid ARN format: ${value}`);
}

export function invalidArtifactUri(): ServiceError {
  return validation('CodeArtifact URI must be a valid S3 URI in the format: s3://<bucket>/<key>');
}

export function tokenTooLong(minutes: number, maximum: number): ServiceError {
  return validation(`ExpirationMinutes ${minutes} exceeded max allowed of ${maximum}.`);
}

export function clientTokenReused(): ServiceError {
  return new ServiceError(
    'ConflictException',
    'The client token was already used with different request parameters.',
    { members: noResource },
  );
}

export function memoryQuotaExceeded(): ServiceError {
  return new ServiceError(
    'ServiceQuotaExceededException',
    'The base maximum allocated memory limit has been reached for this account.',
    { members: noQuota },
  );
}

export function concurrentBuildQuotaExceeded(accountId: string): ServiceError {
  return new ServiceError(
    'ServiceQuotaExceededException',
    `Account ${accountId} has reached the maximum number of concurrent builds allowed.`,
    { members: noQuota },
  );
}

/** Wording unrecorded. */
export function imageQuotaExceeded(accountId: string): ServiceError {
  return new ServiceError(
    'ServiceQuotaExceededException',
    `Account ${accountId} has reached the maximum number of MicroVM images allowed.`,
    { members: noQuota },
  );
}

/** Wording unrecorded. */
export function imageVersionQuotaExceeded(imageArn: string): ServiceError {
  return new ServiceError(
    'ServiceQuotaExceededException',
    `MicroVM image ${imageArn} has reached the maximum number of versions allowed.`,
    { members: noQuota },
  );
}

/** Extension. */
export function checkpointNotFound(microvmId: string, checkpoint: string): ServiceError {
  return new ServiceError(
    'ResourceNotFoundException',
    `MicroVM ${microvmId} has no checkpoint ${checkpoint}.`,
    { members: { resourceId: checkpoint, resourceType: 'Checkpoint' } },
  );
}

/** Extension. */
export function checkpointDamaged(microvmId: string, checkpoint: string): ServiceError {
  return new ServiceError(
    'ConflictException',
    `The checkpoint ${checkpoint} of MicroVM ${microvmId} is damaged. The MicroVM is as it was. Restore the files of the checkpoint from a backup, or delete it.`,
  );
}

/** Extension. */
export function storedStateDamaged(microvmId: string): ServiceError {
  return new ServiceError(
    'ConflictException',
    `What MicroVM ${microvmId} stored when it fell asleep is damaged. Nothing was made of it. Restore its files from a backup, or roll it back to a checkpoint.`,
  );
}

/** Extension. */
export function checkpointNameTaken(microvmId: string, name: string): ServiceError {
  return new ServiceError(
    'ConflictException',
    `MicroVM ${microvmId} has a checkpoint ${name} already. Delete it first, or choose another name.`,
    { members: { resourceId: name, resourceType: 'Checkpoint' } },
  );
}

/** Extension. */
export function tooManyCheckpoints(microvmId: string, most: number): ServiceError {
  return validation(
    `MicroVM ${microvmId} has ${most} checkpoints, the most there can be. Delete some first.`,
  );
}

/** Extension. */
export function rollBackFailed(): ServiceError {
  return new ServiceError(
    'InternalServerException',
    'The MicroVM could not be rolled back and goes on as it was. The log of the server says why.',
  );
}

/** Wording unrecorded: what the VM is to continue from is damaged, or needs another server. */
export function microvmCannotWake(microvmId: string, reason: string): ServiceError {
  return new ServiceError(
    'ConflictException',
    `The MicroVM ${microvmId} cannot be resumed: ${reason}. It stays suspended and its files are kept.`,
    { members: noResource },
  );
}

export function insufficientCapacity(message: string): ServiceError {
  return new ServiceError('InsufficientCapacityException', message);
}

/** Wording unrecorded where `why` says what is the matter with the server's disk. */
export function internalFailure(cause: unknown, why?: string): ServiceError {
  const message = why === undefined ? 'Internal server error.' : `The server cannot store anything: ${why}.`;
  return new ServiceError('InternalServerException', `${message} Please try again.`, { cause });
}

export function notImplemented(operation: string): ServiceError {
  return new ServiceError(
    'NotImplementedException',
    `${operation} is not available in this version of Dormouse.`,
  );
}

/** Extension. */
export function invalidSourceNetwork(problem: string): ServiceError {
  return validation(`Invalid allow list: ${problem}`);
}

interface PortOfMicrovm {
  readonly microvmId: string;
  readonly protocol: string;
  readonly guestPort: number;
}

/** Extension. */
export function portAlreadyPublished(port: PortOfMicrovm): ServiceError {
  return new ServiceError(
    'ConflictException',
    `Port ${port.guestPort}/${port.protocol} of ${port.microvmId} is already published`,
    { members: noResource },
  );
}

/** Extension. */
export function portNotPublished(port: PortOfMicrovm): ServiceError {
  return new ServiceError(
    'ResourceNotFoundException',
    `Port ${port.guestPort}/${port.protocol} of ${port.microvmId} is not published`,
    { members: noResource },
  );
}

/** Extension. */
export function hostPortUnavailable(hostPort: number, cause: unknown): ServiceError {
  return new ServiceError('ConflictException', `Port ${hostPort} of the host cannot be opened`, {
    members: noResource,
    cause,
  });
}

/** Extension. */
export function tooManyPublishedPorts(microvmId: string, most: number): ServiceError {
  return validation(`${microvmId} has ${most} published ports already, the most it can have`);
}

/** Extension; worded as IAM does. */
export function malformedPolicy(problem: string): ServiceError {
  return validation(`Malformed policy document: ${problem}.`);
}

/** Extension. */
export function accessKeyTaken(name: string): ServiceError {
  return new ServiceError('ConflictException', `An access key with the name '${name}' already exists`, {
    members: noResource,
  });
}

/** Extension. */
export function accessKeyNotFound(name: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `Access key not found: ${name}`, {
    members: noResource,
  });
}

/** Extension. */
export function tooManyAccessKeys(most: number): ServiceError {
  return validation(`There are ${most} access keys already, the most there can be`);
}

/** Extension. */
export function tooManyEventReaders(most: number): ServiceError {
  return new ServiceError('ThrottlingException', `There are ${most} readers of events already`, {
    members: { serviceCode: null, quotaCode: null },
    retryAfterSeconds: 5,
  });
}

/** Extension. */
export function invalidWebhookUrl(problem: string): ServiceError {
  return validation(`Invalid webhook URL: ${problem}`);
}

/** Extension. */
export function webhookNotFound(webhookId: string): ServiceError {
  return new ServiceError('ResourceNotFoundException', `Webhook not found: ${webhookId}`, {
    members: noResource,
  });
}

/** Extension. */
export function tooManyWebhooks(most: number): ServiceError {
  return validation(`There are ${most} webhooks already, the most there can be`);
}
