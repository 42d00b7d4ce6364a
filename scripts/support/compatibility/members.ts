import type { Member, Members, Shape, StringShape } from '../../../src/api/shapes/shape.ts';

export interface MemberRow {
  /** Dotted path; `[]` stands for the items of a list. */
  readonly name: string;
  readonly location: Member['location'];
  readonly required: boolean;
  readonly constraints: string;
}

/** Every member of a request, nested ones after those they are in. */
export function memberRows(members: Members, prefix = '', from?: Member['location']): readonly MemberRow[] {
  return Object.entries(members).flatMap(([name, member]) => {
    const location = from ?? member.location;
    const path = prefix + name;
    const row = { name: path, location, required: member.required, constraints: describe(member.shape) };
    return [row, ...nested(member.shape, path, location)];
  });
}

function nested(shape: Shape, path: string, location: Member['location']): readonly MemberRow[] {
  switch (shape.type) {
    case 'list':
      return nested(shape.member, `${path}[]`, location);
    case 'structure':
    case 'union':
      return memberRows(shape.members, `${path}.`, location);
    default:
      return [];
  }
}

function describe(shape: Shape): string {
  switch (shape.type) {
    case 'string':
      return describeText(shape);
    case 'integer':
      return join(shape.long ? 'long' : 'integer', range(shape, ''));
    case 'boolean':
      return 'boolean';
    case 'list':
      return join('list', range(shape, ' items'), `of ${describe(shape.member)}`);
    case 'map':
      return join('map', range(shape, ' entries'), `${describe(shape.key)} → ${describe(shape.value)}`);
    case 'structure':
      return 'structure';
    case 'union':
      return 'union';
  }
}

function describeText(shape: StringShape): string {
  if (shape.values === undefined) {
    const pattern = shape.pattern === undefined ? '' : `\`${shape.pattern.replaceAll('|', '\\|')}\``;
    return join('string', range(shape, ' characters'), pattern, shape.sensitive ? 'sensitive' : '');
  }
  const extra = Object.entries(shape.extraValues ?? {}).map(
    ([profile, values]) => `extension in the \`${profile}\` profile: ${values.join(', ')}`,
  );
  return join(shape.values.join(', '), ...extra);
}

function range(
  { min, max }: { readonly min?: number | string; readonly max?: number | string },
  unit: string,
): string {
  if (min === undefined && max === undefined) return '';
  return `${named(min)}–${named(max)}${unit}`;
}

/** A limit that depends on the profile goes by its name. */
function named(bound: number | string | undefined): string {
  return typeof bound === 'string' ? `\`${bound}\`` : String(bound ?? '');
}

function join(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join('; ');
}
