import { S3Error } from '../../s3/s3-error.ts';
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  headBucket,
  listBuckets,
  listObjects,
} from './bucket-operations.ts';
import { settingRoutes } from './bucket-settings.ts';
import { fixedRoutes } from './fixed-settings.ts';
import {
  copyObject,
  deleteObject,
  deleteObjects,
  getObject,
  headObject,
  putObject,
} from './object-operations.ts';
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './object-tagging.ts';
import { checkVersion, listObjectVersions } from './object-versions.ts';
import type { S3Route } from './route.ts';
import { header, query, type S3Request } from './s3-request.ts';
import {
  abortMultipartUpload,
  completeMultipartUpload,
  createMultipartUpload,
  listMultipartUploads,
  listParts,
  uploadPart,
  uploadPartCopy,
} from './upload-operations.ts';

/** The first that fits answers. */
const routes: readonly S3Route[] = [
  ...settingRoutes,
  ...fixedRoutes,
  ...taggingRoutes(),
  { method: 'GET', level: 'service', action: 's3:ListAllMyBuckets', answer: listBuckets },

  { method: 'PUT', level: 'bucket', action: 's3:CreateBucket', answer: createBucket },
  { method: 'HEAD', level: 'bucket', action: 's3:ListBucket', answer: headBucket },
  { method: 'DELETE', level: 'bucket', action: 's3:DeleteBucket', answer: deleteBucket },
  { method: 'POST', level: 'bucket', parameter: 'delete', action: undefined, answer: deleteObjects },
  {
    method: 'GET',
    level: 'bucket',
    parameter: 'location',
    action: 's3:GetBucketLocation',
    answer: getBucketLocation,
  },
  {
    method: 'GET',
    level: 'bucket',
    parameter: 'versions',
    action: 's3:ListBucketVersions',
    answer: listObjectVersions,
  },
  {
    method: 'GET',
    level: 'bucket',
    parameter: 'uploads',
    action: 's3:ListBucketMultipartUploads',
    answer: listMultipartUploads,
  },
  { method: 'GET', level: 'bucket', action: 's3:ListBucket', answer: listObjects },

  {
    method: 'POST',
    level: 'object',
    parameter: 'uploads',
    action: 's3:PutObject',
    answer: createMultipartUpload,
  },
  {
    method: 'POST',
    level: 'object',
    parameter: 'uploadId',
    action: 's3:PutObject',
    answer: completeMultipartUpload,
  },
  {
    method: 'PUT',
    level: 'object',
    parameter: 'uploadId',
    header: 'x-amz-copy-source',
    action: 's3:PutObject',
    answer: uploadPartCopy,
  },
  { method: 'PUT', level: 'object', parameter: 'uploadId', action: 's3:PutObject', answer: uploadPart },
  {
    method: 'GET',
    level: 'object',
    parameter: 'uploadId',
    action: 's3:ListMultipartUploadParts',
    answer: listParts,
  },
  {
    method: 'DELETE',
    level: 'object',
    parameter: 'uploadId',
    action: 's3:AbortMultipartUpload',
    answer: abortMultipartUpload,
  },
  { method: 'PUT', level: 'object', header: 'x-amz-copy-source', action: 's3:PutObject', answer: copyObject },
  { method: 'PUT', level: 'object', action: 's3:PutObject', answer: putObject },
  { method: 'HEAD', level: 'object', action: 's3:GetObject', answer: headObject },
  { method: 'GET', level: 'object', action: 's3:GetObject', answer: getObject },
  { method: 'DELETE', level: 'object', action: 's3:DeleteObject', answer: deleteObject },
];

/** What a request is about when it names one of these; to answer it as if it had not would be wrong. */
const subResources: ReadonlySet<string> = new Set([
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'tagging',
  'torrent',
  'versioning',
  'versions',
  'website',
]);

/** @throws {S3Error} NotImplemented, NoSuchVersion or MethodNotAllowed */
export function findS3Operation(request: S3Request): Pick<S3Route, 'action' | 'answer'> {
  const about = request.queryParameters.find(([name]) => subResources.has(name))?.[0];
  const { method } = request.request;
  const level = levelOf(request);
  const found = routes.find(
    (route) =>
      route.method === method &&
      route.level === level &&
      (about === undefined || route.parameter === about) &&
      (route.parameter === undefined || query(request, route.parameter) !== undefined) &&
      (route.header === undefined || header(request, route.header) !== undefined),
  );
  if (found !== undefined) {
    checkVersion(request.key, query(request, 'versionId'));
    return found;
  }
  if (about !== undefined) {
    throw new S3Error('NotImplemented', `The artifact bucket does not support ${method} of ${about}.`);
  }
  throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {
    Method: method,
  });
}

function taggingRoutes(): readonly S3Route[] {
  const common = { level: 'object', parameter: 'tagging' } as const;
  return [
    { ...common, method: 'GET', action: 's3:GetObjectTagging', answer: getObjectTagging },
    { ...common, method: 'PUT', action: 's3:PutObjectTagging', answer: putObjectTagging },
    { ...common, method: 'DELETE', action: 's3:DeleteObjectTagging', answer: deleteObjectTagging },
  ];
}

function levelOf({ bucket, key }: S3Request): S3Route['level'] {
  if (bucket === '') return 'service';
  return key === '' ? 'bucket' : 'object';
}
