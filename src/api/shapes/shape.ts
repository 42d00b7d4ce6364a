import type { Limits, Profile } from '../../model/limits.ts';

/**
 * The language the requests of the service are described in. A shape is plain data; reading and checking a
 * request against it happens in `../validation/`.
 */

type NumericLimit = { [Name in keyof Limits]: Limits[Name] extends number ? Name : never }[keyof Limits];

/** A fixed bound, or one that depends on the profile. */
export type Bound = number | NumericLimit;

export interface StringShape<Value extends string = string> {
  readonly type: 'string';
  readonly min?: number;
  readonly max?: Bound;
  /** Has to match the whole text. */
  readonly pattern?: string;
  readonly values?: readonly Value[];
  /** Values accepted beyond `values` by a profile. */
  readonly extraValues?: Partial<Readonly<Record<Profile, readonly Value[]>>>;
  /** Never repeated in a message. */
  readonly sensitive?: true;
}

export interface IntegerShape {
  readonly type: 'integer';
  /** 64 bits on the wire; exact up to 2^53 here. */
  readonly long?: true;
  readonly min?: Bound;
  readonly max?: Bound;
}

export interface BooleanShape {
  readonly type: 'boolean';
}

export interface ListShape<Member extends Shape = Shape> {
  readonly type: 'list';
  readonly member: Member;
  readonly min?: number;
  readonly max?: number;
}

export interface MapShape<Value extends string = string> {
  readonly type: 'map';
  readonly key: StringShape;
  readonly value: StringShape<Value>;
  readonly min?: number;
  readonly max?: number;
}

export interface Member<S extends Shape = Shape, Required extends boolean = boolean> {
  readonly shape: S;
  readonly required: Required;
  /** Where the member travels; its name there when it differs. */
  readonly location: 'body' | 'path' | 'query';
  readonly wireName?: string;
}

export type Members = { readonly [name: string]: Member };

export interface StructureShape<M extends Members = Members> {
  readonly type: 'structure';
  readonly members: M;
}

/** Exactly one member is set. */
export interface UnionShape<M extends Members = Members> {
  readonly type: 'union';
  readonly members: M;
}

export type Shape =
  | StringShape
  | IntegerShape
  | BooleanShape
  | { readonly type: 'list'; readonly member: Shape; readonly min?: number; readonly max?: number }
  | MapShape
  | { readonly type: 'structure' | 'union'; readonly members: Members };

/** The type of a value that was read against a shape. */
export type Infer<S> =
  S extends StringShape<infer Value>
    ? Value
    : S extends IntegerShape
      ? number
      : S extends BooleanShape
        ? boolean
        : S extends { readonly type: 'list'; readonly member: infer M }
          ? readonly Infer<M>[]
          : S extends MapShape<infer Value>
            ? Readonly<Record<string, Value>>
            : S extends { readonly type: 'structure'; readonly members: infer M }
              ? InferStructure<M>
              : S extends { readonly type: 'union'; readonly members: infer M }
                ? InferUnion<M>
                : never;

type InferStructure<M> = {
  readonly [Name in keyof M as M[Name] extends { readonly required: true } ? Name : never]: InferMember<
    M[Name]
  >;
} & {
  readonly [Name in keyof M as M[Name] extends { readonly required: true } ? never : Name]?: InferMember<
    M[Name]
  >;
};

type InferUnion<M> = {
  [Name in keyof M]: { readonly [Key in Name]: InferMember<M[Name]> };
}[keyof M];

type InferMember<M> = M extends { readonly shape: infer S } ? Infer<S> : never;

export function text(constraints: Omit<StringShape, 'type' | 'values' | 'extraValues'> = {}): StringShape {
  return { type: 'string', ...constraints };
}

export function oneOf<const Value extends string>(
  values: readonly Value[],
  extraValues?: Partial<Readonly<Record<Profile, readonly Value[]>>>,
): StringShape<Value> {
  return { type: 'string', values, ...(extraValues === undefined ? {} : { extraValues }) };
}

export function integer(constraints: Omit<IntegerShape, 'type'> = {}): IntegerShape {
  return { type: 'integer', ...constraints };
}

export function long(constraints: Omit<IntegerShape, 'type' | 'long'> = {}): IntegerShape {
  return { type: 'integer', long: true, ...constraints };
}

export const boolean: BooleanShape = { type: 'boolean' };

export function list<M extends Shape>(
  member: M,
  constraints: { readonly min?: number; readonly max?: number } = {},
): ListShape<M> {
  return { type: 'list', member, ...constraints };
}

export function map<Value extends string>(
  key: StringShape,
  value: StringShape<Value>,
  constraints: { readonly min?: number; readonly max?: number } = {},
): MapShape<Value> {
  return { type: 'map', key, value, ...constraints };
}

export function structure<M extends Members>(members: M): StructureShape<M> {
  return { type: 'structure', members };
}

export function union<M extends Members>(members: M): UnionShape<M> {
  return { type: 'union', members };
}

export function required<S extends Shape>(shape: S): Member<S, true> {
  return { shape, required: true, location: 'body' };
}

export function optional<S extends Shape>(shape: S): Member<S, false> {
  return { shape, required: false, location: 'body' };
}

/** A member in the path; always there, because the path would not have matched without it. */
export function inPath<S extends Shape>(shape: S): Member<S, true> {
  return { shape, required: true, location: 'path' };
}

export function inQuery<S extends Shape, R extends boolean>(
  member: Member<S, R>,
  wireName?: string,
): Member<S, R> {
  return { ...member, location: 'query', ...(wireName === undefined ? {} : { wireName }) };
}
