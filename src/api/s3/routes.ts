import { S3Error } from '../../s3/s3-error.ts';
import {
  createBucket,
  deleteBucket,
  getBucketLocation,
  getBucketVersioning,
  headBucket,
  listBuckets,
  listObjects,
} from './bucket-operations.ts';
import {
  copyObject,
  deleteObject,
  deleteObjects,
  getObject,
  headObject,
  putObject,
} from './object-operations.ts';
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

type Answer = (request: S3Request) => Promise<void>;
type Level = 'service' | 'bucket' | 'object';

interface S3Route {
  readonly method: string;
  readonly level: Level;
  /** Query parameter that has to be there. */
  readonly parameter?: string;
  /** Header that has to be there. */
  readonly header?: string;
  /** What the caller has to be allowed on the bucket or object; undefined where the answer judges by itself. */
  readonly action: string | undefined;
  readonly answer: Answer;
}

/** The first that fits answers. */
const routes: readonly S3Route[] = [
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
    parameter: 'versioning',
    action: 's3:GetBucketVersioning',
    answer: getBucketVersioning,
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

/** Parts of S3 a request would mean by these; answering it as if they were not there would be wrong. */
const unsupportedParameters: readonly string[] = [
  'accelerate',
  'acl',
  'analytics',
  'attributes',
  'cors',
  'encryption',
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
  'versionId',
  'versions',
  'website',
];

/** @throws {S3Error} NotImplemented or MethodNotAllowed */
export function findS3Operation(request: S3Request): Pick<S3Route, 'action' | 'answer'> {
  const unsupported = request.queryParameters.find(([name]) => unsupportedParameters.includes(name));
  if (unsupported !== undefined) {
    throw new S3Error('NotImplemented', `The artifact bucket does not support ${unsupported[0]}.`);
  }
  const { method } = request.request;
  const level = levelOf(request);
  const found = routes.find(
    (route) =>
      route.method === method &&
      route.level === level &&
      (route.parameter === undefined || query(request, route.parameter) !== undefined) &&
      (route.header === undefined || header(request, route.header) !== undefined),
  );
  if (found === undefined) {
    throw new S3Error('MethodNotAllowed', 'The specified method is not allowed against this resource.', {
      Method: method,
    });
  }
  return found;
}

function levelOf({ bucket, key }: S3Request): Level {
  if (bucket === '') return 'service';
  return key === '' ? 'bucket' : 'object';
}
