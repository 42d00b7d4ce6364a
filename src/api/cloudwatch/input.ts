import type { QueryParameter } from '../sigv4/uri.ts';

/** A refusal of CloudWatch. */
export class CloudWatchError extends Error {
  override readonly name = 'CloudWatchError';
  readonly code: 'InvalidParameterValue' | 'MissingParameter';

  constructor(code: CloudWatchError['code'], message: string) {
    super(message);
    this.code = code;
  }
}

export type Fields = Readonly<Record<string, unknown>>;

const deepestName = 12;

/** The members of a form as a document: `Dimensions.member.1.Name` is the name in the first item of a list. */
export function documentOf(form: readonly QueryParameter[]): Fields {
  const root = new Map<string, unknown>();
  for (const [key, value] of form) {
    const parts = key.split('.').filter((part) => part !== 'member');
    const last = parts.pop();
    if (last === undefined || parts.length > deepestName) continue;
    let at = root;
    for (const part of parts) {
      const found = at.get(part);
      const next = found instanceof Map ? (found as Map<string, unknown>) : new Map<string, unknown>();
      at.set(part, next);
      at = next;
    }
    at.set(last, value);
  }
  return toPlain(root) as Fields;
}

/** Maps whose keys are all numbers are lists. */
function toPlain(value: unknown): unknown {
  if (!(value instanceof Map)) return value;
  const entries = [...(value as Map<string, unknown>)].map(([key, item]) => [key, toPlain(item)] as const);
  const isList = entries.length > 0 && entries.every(([key]) => /^\d{1,4}$/.test(key));
  if (!isList) return Object.fromEntries(entries);
  return entries.sort(([a], [b]) => Number(a) - Number(b)).map(([, item]) => item);
}

export function fieldsOf(value: unknown, name: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CloudWatchError('InvalidParameterValue', `The parameter ${name} has to be a structure.`);
  }
  return value as Fields;
}

export function listOf(value: unknown, name: string): readonly unknown[] {
  if (value === undefined || value === null || value === '') return [];
  if (!Array.isArray(value) || value.length > 500) {
    throw new CloudWatchError('InvalidParameterValue', `The parameter ${name} has to be a list.`);
  }
  return value;
}

export function textOf(value: unknown, name: string): string {
  if (value === undefined || value === null) {
    throw new CloudWatchError('MissingParameter', `The parameter ${name} is required.`);
  }
  if (typeof value !== 'string' || value.length > 1024) {
    throw new CloudWatchError('InvalidParameterValue', `The parameter ${name} has to be a string.`);
  }
  return value;
}

export function numberOf(value: unknown, name: string): number {
  if (value === undefined || value === null) {
    throw new CloudWatchError('MissingParameter', `The parameter ${name} is required.`);
  }
  const number = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof number === 'number' && Number.isFinite(number)) return number;
  throw new CloudWatchError('InvalidParameterValue', `The parameter ${name} has to be a number.`);
}

/** Epoch milliseconds of a time in seconds or as ISO 8601 has it. */
export function timeOf(value: unknown, name: string): number {
  if (typeof value !== 'string') return numberOf(value, name) * 1000;
  const time = Date.parse(value);
  if (Number.isNaN(time)) {
    throw new CloudWatchError('InvalidParameterValue', `The parameter ${name} has to be a time.`);
  }
  return time;
}
