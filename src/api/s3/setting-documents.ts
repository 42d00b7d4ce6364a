import { randomUUID } from 'node:crypto';
import { malformedXml, S3Error } from '../../s3/s3-error.ts';
import { childrenNamed, childText, type XmlElement } from '../xml/parse.ts';
import { element, type XmlNode } from '../xml/write.ts';
import { s3Document } from './respond.ts';
import { readTagging, taggingDocument, tagsPerBucket } from './tags.ts';

/** Readers of the documents that are put on buckets: each checks one, and makes what is stored and given back. */

const blocks = ['BlockPublicAcls', 'IgnorePublicAcls', 'BlockPublicPolicy', 'RestrictPublicBuckets'];
const mostLifecycleRules = 1000;
const longestRuleId = 255;
const lifecycleActions: ReadonlySet<string> = new Set([
  'Expiration',
  'Transition',
  'NoncurrentVersionExpiration',
  'NoncurrentVersionTransition',
  'AbortIncompleteMultipartUpload',
]);

export function readPublicAccessBlock(document: XmlElement): XmlNode {
  requireName(document, 'PublicAccessBlockConfiguration');
  if (document.children.some(({ name }) => !blocks.includes(name))) throw malformedXml();
  const flags = blocks.map((name) => {
    const value = childText(document, name)?.trim().toLowerCase() ?? 'false';
    if (value !== 'true' && value !== 'false') throw malformedXml();
    return element(name, value);
  });
  return s3Document('PublicAccessBlockConfiguration', flags);
}

/** Only `AES256` is taken: to name a key and not to encrypt with it would be a lie. */
export function readEncryption(document: XmlElement): XmlNode {
  requireName(document, 'ServerSideEncryptionConfiguration');
  const [rule, ...others] = childrenNamed(document, 'Rule');
  if (rule === undefined || others.length > 0) throw malformedXml();
  const [chosen] = childrenNamed(rule, 'ApplyServerSideEncryptionByDefault');
  const algorithm = chosen === undefined ? undefined : childText(chosen, 'SSEAlgorithm')?.trim();
  if (algorithm === 'aws:kms' || algorithm === 'aws:kms:dsse') {
    throw new S3Error('NotImplemented', 'The artifact bucket has no KMS keys to encrypt with; use AES256.');
  }
  if (algorithm !== 'AES256') throw malformedXml();
  return encryptionDocument(childText(rule, 'BucketKeyEnabled')?.trim() === 'true');
}

export function encryptionDocument(bucketKey: boolean): XmlNode {
  return s3Document('ServerSideEncryptionConfiguration', [
    element('Rule', [
      element('ApplyServerSideEncryptionByDefault', [element('SSEAlgorithm', 'AES256')]),
      element('BucketKeyEnabled', bucketKey),
    ]),
  ]);
}

/** Rules without an id get one, as at the service. */
export function readLifecycle(document: XmlElement): XmlNode {
  requireName(document, 'LifecycleConfiguration');
  const rules = document.children;
  if (rules.length === 0 || rules.length > mostLifecycleRules) throw malformedXml();
  const ids = new Set<string>();
  const kept = rules.map((rule) => {
    const status = childText(rule, 'Status')?.trim();
    if (rule.name !== 'Rule' || (status !== 'Enabled' && status !== 'Disabled')) throw malformedXml();
    if (!rule.children.some(({ name }) => lifecycleActions.has(name))) {
      throw new S3Error('InvalidRequest', 'At least one action needs to be specified in a rule.');
    }
    const id = childText(rule, 'ID') || randomUUID();
    if (id.length > longestRuleId) {
      throw new S3Error('InvalidArgument', 'ID length should not exceed allowed limit of 255');
    }
    if (ids.has(id))
      throw new S3Error('InvalidArgument', 'Rule ID must be unique. Found same ID for more than one rule');
    ids.add(id);
    const others = rule.children.filter(({ name }) => name !== 'ID');
    return element('Rule', [element('ID', id), ...others.map(copyOf)]);
  });
  return s3Document('LifecycleConfiguration', kept);
}

/** The state is kept and given back, but no versions are: an object that is replaced is gone. */
export function readVersioning(document: XmlElement): XmlNode {
  requireName(document, 'VersioningConfiguration');
  if (childText(document, 'MfaDelete')?.trim() === 'Enabled') {
    throw new S3Error('NotImplemented', 'The artifact bucket does not support MFA delete.');
  }
  return statusDocument('VersioningConfiguration', 'Status', document, ['Enabled', 'Suspended']);
}

export function readOwnership(document: XmlElement): XmlNode {
  requireName(document, 'OwnershipControls');
  const [rule, ...others] = childrenNamed(document, 'Rule');
  if (rule === undefined || others.length > 0) throw malformedXml();
  const values = ['BucketOwnerEnforced', 'BucketOwnerPreferred', 'ObjectWriter'];
  return s3Document('OwnershipControls', [statusDocument('Rule', 'ObjectOwnership', rule, values)]);
}

export function readBucketTagging(document: XmlElement): XmlNode {
  return taggingDocument(readTagging(document, tagsPerBucket));
}

/** Checks the form of a bucket policy, which is kept as it was given. */
export function checkBucketPolicy(text: string): void {
  let policy: unknown;
  try {
    policy = JSON.parse(text);
  } catch {
    throw malformedPolicy("Policies must be valid JSON and the first byte must be '{'");
  }
  if (!isObject(policy)) throw malformedPolicy("Policies must be valid JSON and the first byte must be '{'");
  const statements = Array.isArray(policy.Statement) ? policy.Statement : [policy.Statement];
  if (policy.Statement === undefined || statements.length === 0) {
    throw malformedPolicy('Missing required field Statement');
  }
  for (const statement of statements) {
    if (!isObject(statement)) throw malformedPolicy('Statement is not an object');
    const { Effect: effect } = statement;
    if (effect !== 'Allow' && effect !== 'Deny') throw malformedPolicy('Invalid effect in statement');
    for (const field of ['Principal', 'Action', 'Resource']) {
      if (!(field in statement || `Not${field}` in statement)) {
        throw malformedPolicy(`Missing required field ${field}`);
      }
    }
  }
}

function statusDocument(
  name: string,
  member: string,
  parent: XmlElement,
  values: readonly string[],
): XmlNode {
  const value = childText(parent, member)?.trim() ?? '';
  if (!values.includes(value)) throw malformedXml();
  const children = [element(member, value)];
  return name === 'Rule' ? element(name, children) : s3Document(name, children);
}

function copyOf({ name, children, text }: XmlElement): XmlNode {
  return element(name, children.length > 0 ? children.map(copyOf) : text);
}

function requireName(document: XmlElement, name: string): void {
  if (document.name !== name) throw malformedXml();
}

function malformedPolicy(message: string): S3Error {
  return new S3Error('MalformedPolicy', message);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
