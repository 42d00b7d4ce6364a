import { ServiceError } from '../../errors.ts';
import type { IntegerShape, Members, Shape } from '../shapes/shape.ts';
import { type QueryParameter, queryValue } from '../sigv4/uri.ts';

/** The parts of a request its input is read from. */
export interface RawInput {
  readonly path: ReadonlyMap<string, string>;
  readonly query: readonly QueryParameter[];
  /** Undefined when there was no body. */
  readonly body: unknown;
}

const largestInteger = 2 ** 31 - 1;

/**
 * Reads a request into the form of its shape: members of the right types, unknown ones and nulls left out.
 * @throws {ServiceError} SerializationException for a value of a wrong type. "Expected null" is recorded
 * (spec section 1.5), the other texts are unrecorded.
 */
export function readInput(members: Members, raw: RawInput): Record<string, unknown> {
  const body = readObject(raw.body ?? {});
  const input: Record<string, unknown> = {};
  for (const [name, member] of Object.entries(members)) {
    const wireName = member.wireName ?? name;
    const value =
      member.location === 'path'
        ? readText(member.shape, raw.path.get(wireName))
        : member.location === 'query'
          ? readQuery(member.shape, raw.query, wireName)
          : readValue(member.shape, ownMember(body, wireName));
    if (value !== undefined) input[name] = value;
  }
  return input;
}

function readQuery(shape: Shape, query: readonly QueryParameter[], name: string): unknown {
  if (shape.type !== 'list') return readText(shape, queryValue(query, name));
  const values = query.filter(([key]) => key === name).map(([, value]) => value);
  return values.length === 0 ? undefined : values;
}

function readText(shape: Shape, value: string | undefined): unknown {
  if (value === undefined || shape.type !== 'integer') return value;
  if (!/^[+-]?\d{1,15}$/.test(value)) throw wrongType('STRING_VALUE can not be converted to an Integer');
  return readInteger(shape, Number(value));
}

function readValue(shape: Shape, value: unknown): unknown {
  if (value === null || value === undefined) return undefined;
  switch (shape.type) {
    case 'string':
      return readString(value);
    case 'integer':
      return readInteger(shape, value);
    case 'boolean':
      if (typeof value !== 'boolean') throw conversion(value, 'a Boolean');
      return value;
    case 'list':
      if (!Array.isArray(value)) throw wrongType('Expected list or null');
      return value.map((item: unknown) => readValue(shape.member, item) ?? null);
    case 'map':
      return Object.fromEntries(
        Object.entries(readObject(value)).map(([key, item]) => [key, readValue(shape.value, item) ?? null]),
      );
    case 'structure':
    case 'union':
      return readStructure(shape.members, readObject(value));
  }
}

function readStructure(members: Members, object: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, member]) => {
      const value = readValue(member.shape, ownMember(object, member.wireName ?? name));
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function readString(value: unknown): string {
  if (typeof value !== 'string') throw conversion(value, 'a String');
  return value;
}

function readInteger(shape: IntegerShape, value: unknown): number {
  if (typeof value !== 'number') throw conversion(value, 'an Integer');
  if (!Number.isInteger(value)) throw wrongType('DECIMAL_VALUE can not be converted to an Integer');
  if (Math.abs(value) > (shape.long ? Number.MAX_SAFE_INTEGER : largestInteger))
    throw wrongType('NUMBER_VALUE is out of the range of an Integer');
  return value;
}

function readObject(value: unknown): object {
  if (Array.isArray(value)) throw wrongType('Start of list found where not expected');
  if (typeof value !== 'object' || value === null) throw wrongType('Expected null');
  return value;
}

function ownMember(object: object, name: string): unknown {
  return Object.getOwnPropertyDescriptor(object, name)?.value;
}

function conversion(value: unknown, target: string): ServiceError {
  if (Array.isArray(value)) return wrongType('Start of list found where not expected');
  if (typeof value === 'object') return wrongType('Start of structure or map found where not expected.');
  const kind = typeof value === 'boolean' ? String(value) : typeof value;
  return wrongType(`${kind.toUpperCase()}_VALUE can not be converted to ${target}`);
}

function wrongType(message: string): ServiceError {
  return new ServiceError('SerializationException', message);
}
