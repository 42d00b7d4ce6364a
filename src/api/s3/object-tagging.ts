import { sendEmpty, sendXml } from './respond.ts';
import type { S3Request } from './s3-request.ts';
import { readXml } from './small-body.ts';
import { readTagging, taggingDocument } from './tags.ts';

const largestDocument = 16 * 1024;

export async function getObjectTagging(request: S3Request): Promise<void> {
  const { tags = {} } = await request.api.services.objects.head(request.bucket, request.key);
  sendXml(request, 200, taggingDocument(tags));
}

export async function putObjectTagging(request: S3Request): Promise<void> {
  const tags = readTagging(await readXml(request, largestDocument));
  await request.api.services.objects.setTags(request.bucket, request.key, tags);
  sendEmpty(request, 200);
}

export async function deleteObjectTagging(request: S3Request): Promise<void> {
  await request.api.services.objects.setTags(request.bucket, request.key, {});
  sendEmpty(request, 204);
}
