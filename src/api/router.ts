import type { Operation } from './operation.ts';
import { uriDecode } from './sigv4/uri.ts';

export interface Route {
  readonly operation: Operation;
  /** Decoded values of the template's members. */
  readonly path: ReadonlyMap<string, string>;
}

interface Node {
  readonly literals: Map<string, Node>;
  member: Node | undefined;
  readonly operations: Map<string, { operation: Operation; names: readonly string[] }>;
}

/** Finds the operation of a request; undefined where there is none. */
export type Router = (method: string, path: string) => Route | undefined;

export function createRouter(operations: readonly Operation[]): Router {
  const root = createNode();
  for (const operation of operations) {
    const names: string[] = [];
    let node = root;
    for (const segment of segmentsOf(operation.path)) {
      const name = /^\{(.+)\}$/.exec(segment)?.[1];
      if (name !== undefined) names.push(name);
      node = name === undefined ? literalChild(node, segment) : memberChild(node);
    }
    node.operations.set(operation.method, { operation, names });
  }

  return (method, path) => {
    const values: string[] = [];
    let node = root;
    for (const segment of segmentsOf(path)) {
      const literal = node.literals.get(segment);
      const next = literal ?? node.member;
      if (next === undefined || segment === '') return undefined;
      if (literal === undefined) values.push(uriDecode(segment));
      node = next;
    }
    const found = node.operations.get(method);
    if (found === undefined) return undefined;
    return {
      operation: found.operation,
      path: new Map(found.names.map((name, index) => [name, values[index] ?? ''])),
    };
  };
}

function segmentsOf(path: string): string[] {
  return path.split('/').slice(1);
}

function createNode(): Node {
  return { literals: new Map(), member: undefined, operations: new Map() };
}

function literalChild(node: Node, segment: string): Node {
  const known = node.literals.get(segment);
  if (known !== undefined) return known;
  const created = createNode();
  node.literals.set(segment, created);
  return created;
}

function memberChild(node: Node): Node {
  node.member ??= createNode();
  return node.member;
}
