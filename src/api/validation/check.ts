import { type ServiceError, validation } from '../../errors.ts';
import type { Limits, Profile } from '../../model/limits.ts';
import type { Bound, Members, Shape, StringShape } from '../shapes/shape.ts';

export interface Rules {
  readonly profile: Profile;
  readonly limits: Limits;
}

/** Longest part of a value repeated in a message. */
const echoLength = 1024;
/** No more items of a list are checked once so many violations were found. */
const violationLimit = 100;
/** Texts longer than this are too long for every shape that has a pattern. */
const patternTextLimit = 65_536;

/**
 * Checks what was read against the constraints of its shape and reports all violations at once, in the
 * service's wording (spec section 1.5; wording of list, map and union violations unrecorded).
 * @throws {ServiceError} ValidationException
 */
export function checkInput(members: Members, input: object, rules: Rules): void {
  const violations: string[] = [];
  checkMembers(members, input, '', rules, violations);
  if (violations.length > 0) throw violationError(violations);
}

function violationError(violations: readonly string[]): ServiceError {
  const count =
    violations.length === 1
      ? '1 validation error detected'
      : `${violations.length} validation errors detected`;
  return validation(`${count}: ${violations.join('; ')}`);
}

function checkMembers(members: Members, input: object, path: string, rules: Rules, found: string[]): void {
  for (const [name, member] of Object.entries(members)) {
    const value: unknown = Object.getOwnPropertyDescriptor(input, name)?.value;
    const at = `${path}${name.charAt(0).toLowerCase()}${name.slice(1)}`;
    if (value !== undefined) checkValue(member.shape, value, at, rules, found);
    else if (member.required) found.push(nullViolation(at));
  }
}

function checkValue(shape: Shape, value: unknown, at: string, rules: Rules, found: string[]): void {
  if (value === null) {
    found.push(nullViolation(at));
    return;
  }
  const object: object = typeof value === 'object' && value !== undefined ? value : {};
  const report = (constraint: string): void => {
    found.push(`Value ${echo(shape, value)}at '${at}' failed to satisfy constraint: ${constraint}`);
  };
  switch (shape.type) {
    case 'string':
      for (const constraint of brokenText(shape, String(value), rules)) report(constraint);
      return;
    case 'integer':
      for (const constraint of brokenRange(shape, Number(value), 'value', rules)) report(constraint);
      return;
    case 'boolean':
      return;
    case 'list':
      if (Array.isArray(value)) checkList(shape, value, at, rules, found, report);
      return;
    case 'map':
      checkMap(shape, Object.entries(object), rules, report);
      return;
    case 'union':
      if (Object.keys(object).length !== 1) report('Member must have exactly one of its members set');
      checkMembers(optionalMembers(shape.members), object, `${at}.`, rules, found);
      return;
    case 'structure':
      checkMembers(shape.members, object, `${at}.`, rules, found);
  }
}

function checkList(
  shape: Extract<Shape, { type: 'list' }>,
  value: readonly unknown[],
  at: string,
  rules: Rules,
  found: string[],
  report: (constraint: string) => void,
): void {
  for (const constraint of brokenRange(shape, value.length, 'length', rules)) report(constraint);
  const { member } = shape;
  if (member.type === 'string') {
    const broken = value.some(
      (item) => typeof item !== 'string' || brokenText(member, item, rules).length > 0,
    );
    if (broken) report(`Member must satisfy constraint: [${textConstraints(member, rules).join(', ')}]`);
    return;
  }
  for (const [index, item] of value.entries()) {
    if (found.length >= violationLimit) return;
    checkValue(member, item, `${at}.${index + 1}.member`, rules, found);
  }
}

function checkMap(
  shape: Extract<Shape, { type: 'map' }>,
  entries: readonly (readonly [string, unknown])[],
  rules: Rules,
  report: (constraint: string) => void,
): void {
  for (const constraint of brokenRange(shape, entries.length, 'length', rules)) report(constraint);
  if (entries.some(([key]) => brokenText(shape.key, key, rules).length > 0)) {
    report(`Map keys must satisfy constraint: [${textConstraints(shape.key, rules).join(', ')}]`);
  }
  const badValue = ([, value]: readonly [string, unknown]): boolean =>
    typeof value !== 'string' || brokenText(shape.value, value, rules).length > 0;
  if (entries.some(badValue)) {
    report(`Map value must satisfy constraint: [${textConstraints(shape.value, rules).join(', ')}]`);
  }
}

function brokenText(shape: StringShape, value: string, rules: Rules): string[] {
  const values = allowedValues(shape, rules);
  if (values !== undefined) return values.includes(value) ? [] : [enumConstraint(values)];
  const broken = brokenRange(shape, value.length, 'length', rules);
  if (shape.pattern !== undefined && !matches(shape.pattern, value))
    broken.push(patternConstraint(shape.pattern));
  return broken;
}

function textConstraints(shape: StringShape, rules: Rules): string[] {
  const values = allowedValues(shape, rules);
  if (values !== undefined) return [enumConstraint(values)];
  return [
    ...(shape.max === undefined ? [] : [atMost(bound(shape.max, rules), 'length')]),
    ...(shape.min === undefined ? [] : [atLeast(shape.min, 'length')]),
    ...(shape.pattern === undefined ? [] : [patternConstraint(shape.pattern)]),
    'Member must not be null',
  ];
}

function brokenRange(
  shape: { readonly min?: Bound; readonly max?: Bound },
  actual: number,
  what: 'length' | 'value',
  rules: Rules,
): string[] {
  const minimum = shape.min === undefined ? Number.NEGATIVE_INFINITY : bound(shape.min, rules);
  const maximum = shape.max === undefined ? Number.POSITIVE_INFINITY : bound(shape.max, rules);
  return [
    ...(actual > maximum ? [atMost(maximum, what)] : []),
    ...(actual < minimum ? [atLeast(minimum, what)] : []),
  ];
}

function bound(limit: Bound, rules: Rules): number {
  return typeof limit === 'number' ? limit : rules.limits[limit];
}

function allowedValues(shape: StringShape, rules: Rules): readonly string[] | undefined {
  if (shape.values === undefined) return undefined;
  return [...shape.values, ...(shape.extraValues?.[rules.profile] ?? [])];
}

const compiled = new Map<string, RegExp>();

function matches(pattern: string, value: string): boolean {
  if (value.length > patternTextLimit) return false;
  const known = compiled.get(pattern);
  const expression = known ?? new RegExp(`^(?:${pattern})$`, 'u');
  if (known === undefined) compiled.set(pattern, expression);
  return expression.test(value);
}

/** Each member alone may be absent; that one is there is checked for all of them together. */
function optionalMembers(members: Members): Members {
  return Object.fromEntries(
    Object.entries(members).map(([name, member]) => [name, { ...member, required: false }]),
  );
}

function nullViolation(at: string): string {
  return `Value null at '${at}' failed to satisfy constraint: Member must not be null`;
}

function atMost(limit: number, what: string): string {
  return `Member must have ${what} less than or equal to ${limit}`;
}

function atLeast(limit: number, what: string): string {
  return `Member must have ${what} greater than or equal to ${limit}`;
}

function enumConstraint(values: readonly string[]): string {
  return `Member must satisfy enum value set: [${values.join(', ')}]`;
}

function patternConstraint(pattern: string): string {
  return `Member must satisfy regular expression pattern: ${pattern}`;
}

/** The value in quotes and a space, or nothing for one that holds a secret. */
function echo(shape: Shape, value: unknown): string {
  if (isSensitive(shape)) return '';
  const rendered = render(value, echoLength);
  return `'${rendered.length > echoLength ? `${rendered.slice(0, echoLength)}…` : rendered}' `;
}

function isSensitive(shape: Shape): boolean {
  switch (shape.type) {
    case 'string':
      return shape.sensitive === true;
    case 'list':
      return isSensitive(shape.member);
    case 'map':
      return isSensitive(shape.key) || isSensitive(shape.value);
    case 'structure':
    case 'union':
      return Object.values(shape.members).some((member) => isSensitive(member.shape));
    case 'integer':
    case 'boolean':
      return false;
  }
}

/** Stops early: the rest would be cut off anyway. */
function render(value: unknown, room: number): string {
  if (typeof value !== 'object' || value === null) return String(value);
  const isList = Array.isArray(value);
  const parts: string[] = [];
  let left = room;
  for (const [key, item] of Object.entries(value)) {
    if (left < 0) break;
    const part = isList ? render(item, left) : `${key}=${render(item, left)}`;
    left -= part.length + 2;
    parts.push(part);
  }
  return isList ? `[${parts.join(', ')}]` : `{${parts.join(', ')}}`;
}
