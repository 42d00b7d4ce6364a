import { S3Error, type S3ErrorCode } from '../../s3/s3-error.ts';
import type { XmlElement } from '../xml/parse.ts';
import { element, type XmlNode, xmlDocument } from '../xml/write.ts';
import { s3Document, sendDocument, sendEmpty, sendXml } from './respond.ts';
import type { S3Route } from './route.ts';
import type { S3Request } from './s3-request.ts';
import {
  checkBucketPolicy,
  encryptionDocument,
  readBucketTagging,
  readEncryption,
  readLifecycle,
  readOwnership,
  readPublicAccessBlock,
  readVersioning,
} from './setting-documents.ts';
import { readSmallBody, readXml } from './small-body.ts';

/** 1,000 rules of a lifecycle with their filters. */
const largestDocument = 512 * 1024;
/** As at the service. */
const largestPolicy = 20 * 1024;

/** Something that is put on a bucket, kept, and given back as it was put. */
interface BucketSetting {
  /** Query parameter that names it. */
  readonly parameter: string;
  /** Names of the actions that policies allow or deny, without `s3:`. */
  readonly get: string;
  readonly put: string;
  /** Undefined where a setting cannot be taken away. */
  readonly remove?: string;
  readonly putStatus: 200 | 204;
  read(document: XmlElement): XmlNode;
  /** What a bucket has that was never told otherwise. */
  readonly unset: { readonly document: XmlNode } | { readonly code: S3ErrorCode; readonly message: string };
}

const settings: readonly BucketSetting[] = [
  {
    parameter: 'publicAccessBlock',
    get: 'GetBucketPublicAccessBlock',
    put: 'PutBucketPublicAccessBlock',
    remove: 'PutBucketPublicAccessBlock',
    putStatus: 200,
    read: readPublicAccessBlock,
    unset: {
      code: 'NoSuchPublicAccessBlockConfiguration',
      message: 'The public access block configuration was not found',
    },
  },
  {
    parameter: 'encryption',
    get: 'GetEncryptionConfiguration',
    put: 'PutEncryptionConfiguration',
    remove: 'PutEncryptionConfiguration',
    putStatus: 200,
    read: readEncryption,
    unset: { document: encryptionDocument(false) },
  },
  {
    parameter: 'lifecycle',
    get: 'GetLifecycleConfiguration',
    put: 'PutLifecycleConfiguration',
    remove: 'PutLifecycleConfiguration',
    putStatus: 200,
    read: readLifecycle,
    unset: {
      code: 'NoSuchLifecycleConfiguration',
      message: 'The lifecycle configuration does not exist',
    },
  },
  {
    parameter: 'versioning',
    get: 'GetBucketVersioning',
    put: 'PutBucketVersioning',
    putStatus: 200,
    read: readVersioning,
    unset: { document: s3Document('VersioningConfiguration', []) },
  },
  {
    parameter: 'ownershipControls',
    get: 'GetBucketOwnershipControls',
    put: 'PutBucketOwnershipControls',
    remove: 'PutBucketOwnershipControls',
    putStatus: 200,
    read: readOwnership,
    unset: {
      code: 'OwnershipControlsNotFoundError',
      message: 'The bucket ownership controls were not found',
    },
  },
  {
    parameter: 'tagging',
    get: 'GetBucketTagging',
    put: 'PutBucketTagging',
    remove: 'PutBucketTagging',
    putStatus: 204,
    read: readBucketTagging,
    unset: { code: 'NoSuchTagSet', message: 'The TagSet does not exist' },
  },
];

/** Requests about what is kept for a bucket. Policies are texts of JSON; everything else is XML. */
export const settingRoutes: readonly S3Route[] = [
  ...settings.flatMap(routesOf),
  route('GET', 'policy', 's3:GetBucketPolicy', getBucketPolicy),
  route('PUT', 'policy', 's3:PutBucketPolicy', putBucketPolicy),
  route('DELETE', 'policy', 's3:DeleteBucketPolicy', removal('policy')),
  route('GET', 'policyStatus', 's3:GetBucketPolicyStatus', getBucketPolicyStatus),
];

function routesOf(setting: BucketSetting): readonly S3Route[] {
  const { parameter, get, put, remove } = setting;
  return [
    route('GET', parameter, `s3:${get}`, (request) => getSetting(request, setting)),
    route('PUT', parameter, `s3:${put}`, (request) => putSetting(request, setting)),
    ...(remove === undefined ? [] : [route('DELETE', parameter, `s3:${remove}`, removal(parameter))]),
  ];
}

function route(method: string, parameter: string, action: string, answer: S3Route['answer']): S3Route {
  return { method, level: 'bucket', parameter, action, answer };
}

async function getSetting(request: S3Request, { parameter, unset }: BucketSetting): Promise<void> {
  const kept = await request.api.services.objects.bucketSetting(request.bucket, parameter);
  if (kept !== undefined) sendDocument(request, 'application/xml', kept);
  else if ('document' in unset) sendXml(request, 200, unset.document);
  else throw new S3Error(unset.code, unset.message, { BucketName: request.bucket });
}

async function putSetting(request: S3Request, setting: BucketSetting): Promise<void> {
  const document = setting.read(await readXml(request, largestDocument));
  const { objects } = request.api.services;
  await objects.putBucketSetting(request.bucket, setting.parameter, xmlDocument(document));
  sendEmpty(request, setting.putStatus);
}

function removal(parameter: string): S3Route['answer'] {
  return async (request) => {
    await request.api.services.objects.deleteBucketSetting(request.bucket, parameter);
    sendEmpty(request, 204);
  };
}

async function getBucketPolicy(request: S3Request): Promise<void> {
  sendDocument(request, 'application/json', await policyOf(request));
}

async function putBucketPolicy(request: S3Request): Promise<void> {
  const policy = (await readSmallBody(request, largestPolicy)).toString('utf8');
  checkBucketPolicy(policy);
  await request.api.services.objects.putBucketSetting(request.bucket, 'policy', policy);
  sendEmpty(request, 204);
}

/** Nothing here is ever public: every request is signed. */
async function getBucketPolicyStatus(request: S3Request): Promise<void> {
  await policyOf(request);
  sendXml(request, 200, s3Document('PolicyStatus', [element('IsPublic', false)]));
}

async function policyOf({ api, bucket }: S3Request): Promise<string> {
  const policy = await api.services.objects.bucketSetting(bucket, 'policy');
  if (policy !== undefined) return policy;
  throw new S3Error('NoSuchBucketPolicy', 'The bucket policy does not exist', { BucketName: bucket });
}
