import { S3Error } from '../../s3/s3-error.ts';
import { findDenial } from '../authorization/access.ts';
import type { S3Request } from './s3-request.ts';

export interface S3Place {
  /** Empty for all buckets. */
  readonly bucket: string;
  /** Empty for the bucket itself. */
  readonly key: string;
}

/** @throws {S3Error} AccessDenied */
export function requireAccess(request: S3Request, action: string, place: S3Place): void {
  const denied = refusalOf(request, action, place);
  if (denied !== undefined) throw denied;
}

/** Why the caller may not do that; undefined where it may. */
export function refusalOf(request: S3Request, action: string, place: S3Place): S3Error | undefined {
  const denial = findDenial(request.caller, [{ action, resource: arnOf(place) }]);
  if (denial === undefined) return undefined;
  return new S3Error(
    'AccessDenied',
    `User: ${request.caller.principal.arn} is not authorized to perform: ${action} ` +
      `on resource: "${denial.resource}" ${denial.reason}`,
  );
}

function arnOf({ bucket, key }: S3Place): string {
  if (bucket === '') return '*';
  return key === '' ? `arn:aws:s3:::${bucket}` : `arn:aws:s3:::${bucket}/${key}`;
}
