import type { Tags } from '../../s3/object-store.ts';
import { malformedXml, S3Error } from '../../s3/s3-error.ts';
import { parseQuery } from '../sigv4/uri.ts';
import { childrenNamed, childText, type XmlElement } from '../xml/parse.ts';
import { element, type XmlNode } from '../xml/write.ts';
import { s3Document } from './respond.ts';
import { header, type S3Request } from './s3-request.ts';

const longestKey = 128;
const longestValue = 256;
export const tagsPerBucket = 50;
const tagsPerObject = 10;

/** @throws {S3Error} MalformedXML or InvalidTag */
export function readTagging(document: XmlElement, most = tagsPerObject): Tags {
  const [set, ...others] = childrenNamed(document, 'TagSet');
  if (document.name !== 'Tagging' || set === undefined || others.length > 0) throw malformedXml();
  const tags = set.children.map((tag): [string, string] => {
    const key = childText(tag, 'Key');
    const value = childText(tag, 'Value');
    if (tag.name !== 'Tag' || key === undefined || value === undefined) throw malformedXml();
    return [key, value];
  });
  return checkTags(tags, most);
}

/** Tags of the header `x-amz-tagging`, which looks like a query; undefined without it. */
export function readTaggingHeader(request: S3Request): Tags | undefined {
  const text = header(request, 'x-amz-tagging');
  if (text === undefined) return undefined;
  return checkTags(parseQuery(text), tagsPerObject);
}

export function taggingDocument(tags: Tags): XmlNode {
  return s3Document('Tagging', [
    element(
      'TagSet',
      Object.entries(tags).map(([key, value]) =>
        element('Tag', [element('Key', key), element('Value', value)]),
      ),
    ),
  ]);
}

function checkTags(tags: readonly (readonly [key: string, value: string])[], most: number): Tags {
  if (tags.length > most) {
    const owner = most === tagsPerObject ? 'Object' : 'Bucket';
    throw new S3Error('InvalidTag', `${owner} tags cannot be greater than ${most}`);
  }
  const seen = new Map<string, string>();
  for (const [key, value] of tags) {
    if (key === '' || key.length > longestKey || key.startsWith('aws:')) {
      throw new S3Error('InvalidTag', 'The TagKey you have provided is invalid', { TagKey: key });
    }
    if (value.length > longestValue) {
      throw new S3Error('InvalidTag', 'The TagValue you have provided is invalid', { TagValue: value });
    }
    if (seen.has(key)) {
      throw new S3Error('InvalidTag', 'Cannot provide multiple Tags with the same key', { TagKey: key });
    }
    seen.set(key, value);
  }
  return Object.fromEntries(seen);
}
