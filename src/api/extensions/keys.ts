import { notImplemented } from '../../errors.ts';
import type { AccessKeyDescription, AccessKeyService, IssuedAccessKey } from '../access-key-service.ts';
import type { Api } from '../operation.ts';
import { text } from '../shapes/shape.ts';
import { toSeconds, toSecondsOrNull } from '../wire/time.ts';

export const keyName = text({ min: 1, max: 64, pattern: '[\\w+=,.@-]+' });

/** @throws {ServiceError} NotImplementedException */
export function accessKeys(api: Api): AccessKeyService {
  const { accessKeys: service } = api.services;
  if (service === undefined) throw notImplemented('Management of access keys');
  return service;
}

export function keyToWire(key: AccessKeyDescription): object {
  const { name, arn, accessKeyId, policy, createdAt, rotatedAt } = key;
  return {
    keyName: name,
    arn,
    accessKeyId,
    policy,
    createdAt: toSeconds(createdAt),
    rotatedAt: toSecondsOrNull(rotatedAt),
  };
}

/** The only answers that hold a secret. */
export function issuedKeyToWire(key: IssuedAccessKey): object {
  return { ...keyToWire(key), secretAccessKey: key.secretAccessKey };
}
