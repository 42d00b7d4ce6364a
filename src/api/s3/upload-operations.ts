import { checksumAlgorithms, isChecksumAlgorithm } from '../../s3/checksum.ts';
import type { Upload, UploadInput } from '../../s3/object-store.ts';
import { malformedXml, S3Error } from '../../s3/s3-error.ts';
import { largestPartNumber } from '../../s3/uploads.ts';
import { childrenNamed, childText } from '../xml/parse.ts';
import { element } from '../xml/write.ts';
import { requireAccess } from './authorize.ts';
import { incomingBody } from './incoming-body.ts';
import { readAttributes } from './object-headers.ts';
import { copySource } from './object-operations.ts';
import { parseRange } from './range.ts';
import {
  checksumElements,
  checksumHeaders,
  quoteEtag,
  s3Document,
  sendEmpty,
  sendXml,
  unquoteEtag,
} from './respond.ts';
import { header, query, type S3Request } from './s3-request.ts';
import { readSmallBody, readXml } from './small-body.ts';

export async function createMultipartUpload(request: S3Request): Promise<void> {
  const { bucket, key, api, response } = request;
  await readSmallBody(request);
  const checksum = announcedChecksum(request);
  const upload = await api.services.objects.createUpload({
    bucket,
    key,
    checksum,
    ...readAttributes(request),
  });
  if (checksum !== undefined) {
    response.setHeader('x-amz-checksum-algorithm', checksum.algorithm.toUpperCase());
    response.setHeader('x-amz-checksum-type', checksum.type);
  }
  const document = s3Document('InitiateMultipartUploadResult', [
    element('Bucket', bucket),
    element('Key', key),
    element('UploadId', upload.uploadId),
  ]);
  sendXml(request, 200, document);
}

export async function uploadPart(request: S3Request): Promise<void> {
  const { objects } = request.api.services;
  const upload = uploadOf(request);
  const checksum = await objects.uploadChecksum(upload);
  const part = await objects.putPart(
    upload,
    partNumberOf(request),
    incomingBody(request, checksum?.algorithm),
  );
  request.response.setHeader('etag', quoteEtag(part.etag));
  for (const [name, value] of checksumHeaders(part.checksums)) request.response.setHeader(name, value);
  sendEmpty(request, 200);
}

export async function uploadPartCopy(request: S3Request): Promise<void> {
  const { objects } = request.api.services;
  const upload = uploadOf(request);
  const checksum = await objects.uploadChecksum(upload);
  const partNumber = partNumberOf(request);
  const source = copySource(request);
  requireAccess(request, 's3:GetObject', source);
  const opened = await objects.open(source.bucket, source.key);
  try {
    const range = parseRange(header(request, 'x-amz-copy-source-range'), opened.object.size);
    const part = await objects.putPart(upload, partNumber, {
      stream: opened.read(range),
      algorithms: checksum === undefined ? [] : [checksum.algorithm],
      withSha256: false,
      verify: () => undefined,
    });
    const document = s3Document('CopyPartResult', [
      element('LastModified', new Date(part.modifiedAt).toISOString()),
      element('ETag', quoteEtag(part.etag)),
      ...checksumElements(part.checksums),
    ]);
    sendXml(request, 200, document);
  } finally {
    await opened.close();
  }
}

export async function listParts(request: S3Request): Promise<void> {
  const upload = uploadOf(request);
  const parts = await request.api.services.objects.listParts(upload);
  const document = s3Document('ListPartsResult', [
    element('Bucket', upload.bucket),
    element('Key', upload.key),
    element('UploadId', upload.uploadId),
    element('MaxParts', largestPartNumber),
    element('IsTruncated', false),
    ...parts.map((part) =>
      element('Part', [
        element('PartNumber', part.partNumber),
        element('LastModified', new Date(part.modifiedAt).toISOString()),
        element('ETag', quoteEtag(part.etag)),
        element('Size', part.size),
        ...checksumElements(part.checksums),
      ]),
    ),
  ]);
  sendXml(request, 200, document);
}

export async function listMultipartUploads(request: S3Request): Promise<void> {
  const { objects } = request.api.services;
  await objects.requireBucket(request.bucket);
  const uploads = await objects.listUploads(request.bucket);
  const document = s3Document('ListMultipartUploadsResult', [
    element('Bucket', request.bucket),
    element('IsTruncated', false),
    ...uploads.map((upload) =>
      element('Upload', [
        element('Key', upload.key),
        element('UploadId', upload.uploadId),
        element('Initiated', new Date(upload.createdAt).toISOString()),
        element('StorageClass', 'STANDARD'),
      ]),
    ),
  ]);
  sendXml(request, 200, document);
}

export async function completeMultipartUpload(request: S3Request): Promise<void> {
  const document = await readXml(request);
  const parts = childrenNamed(document, 'Part').map((part) => {
    const number = childText(part, 'PartNumber') ?? '';
    const etag = childText(part, 'ETag');
    if (!/^\d{1,5}$/.test(number) || etag === undefined) throw malformedXml();
    return { partNumber: Number(number), etag: unquoteEtag(etag) };
  });
  if (document.name !== 'CompleteMultipartUpload' || parts.length === 0) throw malformedXml();
  const object = await request.api.services.objects.completeUpload(uploadOf(request), parts);
  const answer = s3Document('CompleteMultipartUploadResult', [
    element('Location', request.request.path),
    element('Bucket', object.bucket),
    element('Key', object.key),
    element('ETag', quoteEtag(object.etag)),
    ...checksumElements(object.checksums.values),
    element('ChecksumType', object.checksums.type),
  ]);
  sendXml(request, 200, answer);
}

export async function abortMultipartUpload(request: S3Request): Promise<void> {
  await request.api.services.objects.abortUpload(uploadOf(request));
  sendEmpty(request, 204);
}

function uploadOf(request: S3Request): Pick<Upload, 'uploadId' | 'bucket' | 'key'> {
  return { uploadId: query(request, 'uploadId') ?? '', bucket: request.bucket, key: request.key };
}

function partNumberOf(request: S3Request): number {
  const text = query(request, 'partNumber') ?? '';
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > largestPartNumber) {
    throw new S3Error(
      'InvalidArgument',
      `Part number must be an integer between 1 and ${largestPartNumber}, inclusive`,
      { ArgumentName: 'partNumber', ArgumentValue: text },
    );
  }
  return number;
}

/** CRC-64 exists for whole objects only; the SHA family for compositions only; the others default to these. */
function announcedChecksum(request: S3Request): UploadInput['checksum'] {
  const algorithm = header(request, 'x-amz-checksum-algorithm')?.toLowerCase();
  if (algorithm === undefined) return undefined;
  if (!isChecksumAlgorithm(algorithm)) {
    throw new S3Error(
      'InvalidRequest',
      `Checksum algorithm provided is unsupported. Please try again with any of the valid types: [${checksumAlgorithms.join(', ').toUpperCase()}]`,
    );
  }
  const type = header(request, 'x-amz-checksum-type')?.toUpperCase();
  if (type === 'FULL_OBJECT' || (type === undefined && algorithm === 'crc64nvme')) {
    return { algorithm, type: 'FULL_OBJECT' };
  }
  return { algorithm, type: 'COMPOSITE' };
}
