import type { RolePolicyDescription } from '../role-policy-service.ts';
import { text } from '../shapes/shape.ts';
import { toSeconds } from '../wire/time.ts';

export const roleName = text({ min: 1, max: 64, pattern: '[\\w+=,.@-]+' });

export function roleToWire({ createdAt, updatedAt, ...role }: RolePolicyDescription): object {
  return { ...role, createdAt: toSeconds(createdAt), updatedAt: toSeconds(updatedAt) };
}
