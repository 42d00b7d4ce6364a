import { S3Error, type S3ErrorCode } from '../../s3/s3-error.ts';
import { element, type XmlNode } from '../xml/write.ts';
import { s3Document, sendXml } from './respond.ts';
import type { S3Route } from './route.ts';
import type { S3Request } from './s3-request.ts';

/**
 * What a bucket never has here. Tools that compare a bucket with a description ask for all of it, and are told what
 * the service says of a bucket on which none of it was ever set.
 */
const absent: readonly {
  readonly parameter: string;
  readonly action: string;
  readonly answer: XmlNode | readonly [code: S3ErrorCode, message: string];
}[] = [
  {
    parameter: 'accelerate',
    action: 's3:GetAccelerateConfiguration',
    answer: s3Document('AccelerateConfiguration', []),
  },
  {
    parameter: 'cors',
    action: 's3:GetBucketCORS',
    answer: ['NoSuchCORSConfiguration', 'The CORS configuration does not exist'],
  },
  {
    parameter: 'logging',
    action: 's3:GetBucketLogging',
    answer: s3Document('BucketLoggingStatus', []),
  },
  {
    parameter: 'notification',
    action: 's3:GetBucketNotification',
    answer: s3Document('NotificationConfiguration', []),
  },
  {
    parameter: 'object-lock',
    action: 's3:GetBucketObjectLockConfiguration',
    answer: [
      'ObjectLockConfigurationNotFoundError',
      'Object Lock configuration does not exist for this bucket',
    ],
  },
  {
    parameter: 'replication',
    action: 's3:GetReplicationConfiguration',
    answer: ['ReplicationConfigurationNotFoundError', 'The replication configuration was not found'],
  },
  {
    parameter: 'requestPayment',
    action: 's3:GetBucketRequestPayment',
    answer: s3Document('RequestPaymentConfiguration', [element('Payer', 'BucketOwner')]),
  },
  {
    parameter: 'website',
    action: 's3:GetBucketWebsite',
    answer: ['NoSuchWebsiteConfiguration', 'The specified bucket does not have a website configuration'],
  },
];

export const fixedRoutes: readonly S3Route[] = [
  ...absent.map(({ parameter, action, answer }): S3Route => {
    const send = async (request: S3Request): Promise<void> => {
      await request.api.services.objects.requireBucket(request.bucket);
      if (!('name' in answer)) throw new S3Error(...answer, { BucketName: request.bucket });
      sendXml(request, 200, answer);
    };
    return { method: 'GET', level: 'bucket', parameter, action, answer: send };
  }),
  { method: 'GET', level: 'bucket', parameter: 'acl', action: 's3:GetBucketAcl', answer: getBucketAcl },
  { method: 'GET', level: 'object', parameter: 'acl', action: 's3:GetObjectAcl', answer: getObjectAcl },
];

async function getBucketAcl(request: S3Request): Promise<void> {
  await request.api.services.objects.requireBucket(request.bucket);
  sendXml(request, 200, ownersAcl(request));
}

async function getObjectAcl(request: S3Request): Promise<void> {
  await request.api.services.objects.head(request.bucket, request.key);
  sendXml(request, 200, ownersAcl(request));
}

/** Everything belongs to the account, which decides by policies who else may do what. */
function ownersAcl({ api }: S3Request): XmlNode {
  const id = api.options.realm.accountId;
  const owner = [element('ID', id), element('DisplayName', id)];
  const grantee = {
    'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
    'xsi:type': 'CanonicalUser',
  };
  return s3Document('AccessControlPolicy', [
    element('Owner', owner),
    element('AccessControlList', [
      element('Grant', [element('Grantee', owner, grantee), element('Permission', 'FULL_CONTROL')]),
    ]),
  ]);
}
